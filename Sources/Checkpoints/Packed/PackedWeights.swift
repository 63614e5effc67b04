import OrderedCollections
public import Sparse
import Tensors

/// The packed matrices of a folder, read where they lie in the mapped file.
public struct PackedWeights: Sendable {
    public let manifest: PackedManifest
    private let checkpoint: Checkpoint

    /// The packed matrices of `checkpoint`; nil if it is no packed model.
    /// - Throws: `CheckpointError` if its configuration says something impossible about them.
    public init?(_ checkpoint: Checkpoint) throws(CheckpointError) {
        guard let manifest = try PackedManifest(configuration: checkpoint.configuration, path: checkpoint.path) else {
            return nil
        }
        self.manifest = manifest
        self.checkpoint = checkpoint
    }

    /// The matrix called `name`; nil if the manifest does not list it.
    ///
    /// Nothing but its offsets is read. Before the first product ``check(_:)`` must have passed.
    /// - Throws: `CheckpointError` if its arrays are missing or do not fit each other.
    public func matrix(_ name: String) throws(CheckpointError) -> PackedMatrix? {
        guard let entry = manifest.matrices[name] else { return nil }
        switch (entry.format, entry.values) {
        case (.dense, .elements(let type)): return .dense(try dense(name, entry, type))
        case (.tiledBitmap, .elements(let type)):
            let masks = try array(name + PackedArrays.masks, .u32, as: UInt32.self)
            let values = try array(name + PackedArrays.values, type, as: UInt16.self)
            let offsets = try array(name + PackedArrays.panelOffsets, .u64, as: UInt64.self)
            return .tiledBitmap(
                try validated(name) { () throws(SparseError) in
                    try TiledBitmap(
                        rows: entry.rows, columns: entry.columns, masks: masks, values: values, panelOffsets: offsets,
                        valueType: type)
                })
        case (.slicedEllpack, .elements(let type)):
            let deltas = try array(name + PackedArrays.deltas, .u8, as: UInt8.self)
            let values = try array(name + PackedArrays.values, type, as: UInt16.self)
            let offsets = try array(name + PackedArrays.sliceOffsets, .u64, as: UInt64.self)
            let laneRows = try array(name + PackedArrays.laneRows, .u8, as: UInt8.self)
            return .slicedEllpack(
                try validated(name) { () throws(SparseError) in
                    try SlicedEllpack(
                        rows: entry.rows, columns: entry.columns, deltas: deltas, values: values,
                        sliceOffsets: offsets, laneRows: laneRows, valueType: type)
                })
        case (.tiledCSL, .elements(let type)):
            let words = try array(name + PackedArrays.words, .u32, as: UInt32.self)
            let offsets = try array(name + PackedArrays.tileOffsets, .i32, as: Int32.self)
            return .tiledCSL(
                try validated(name) { () throws(SparseError) in
                    try TiledCSL(
                        rows: entry.rows, columns: entry.columns, words: words, tileOffsets: offsets,
                        valueType: type, checking: .tileOffsets)
                })
        case (_, .integers(let coding, let group)):
            return .quantized(try quantized(name, entry, coding, group))
        }
    }

    private func dense(
        _ name: String, _ entry: PackedManifest.Matrix, _ type: ElementType
    ) throws(CheckpointError) -> DenseMatrix {
        let bytes = try checkpoint.mappedBytes(name)
        let (count, overflow) = (entry.rows * entry.columns).multipliedReportingOverflow(by: type.byteCount)
        guard checkpoint[name]?.encoding.elementType == type, !overflow, bytes.count == count,
            UInt(bitPattern: bytes.pointer) % UInt(type.byteCount) == 0
        else {
            throw damaged(
                name, expected: "\(entry.rows) x \(entry.columns) elements of \(type)",
                found: "\(bytes.count) bytes of \(checkpoint[name]?.storedType ?? "nothing")")
        }
        return DenseMatrix(rows: entry.rows, columns: entry.columns, element: type, bytes: bytes)
    }

    private func quantized(
        _ name: String, _ entry: PackedManifest.Matrix, _ coding: QuantizedCoding, _ group: ScaleGroup
    ) throws(CheckpointError) -> QuantizedMatrix {
        let masks: Storage<UInt8>? =
            switch (entry.format, coding) {
            case (.dense, _): nil
            case (_, .i16): try array(name + PackedArrays.masks, coding.maskType, as: UInt32.self).bytes
            case (_, _): try array(name + PackedArrays.masks, coding.maskType, as: UInt64.self).bytes
            }
        let values = try array(name + PackedArrays.values, .u8, as: UInt8.self)
        let scales = try array(name + PackedArrays.scales, .bf16, as: UInt16.self)
        let offsets = try array(name + PackedArrays.panelOffsets, .u64, as: UInt64.self)
        return try validated(name) { () throws(SparseError) in
            try QuantizedMatrix(
                rows: entry.rows, columns: entry.columns, coding: coding, group: group, masks: masks, values: values,
                panelOffsets: offsets, scales: scales)
        }
    }

    /// The names that ``check(_:)`` takes, which together cover every tensor there is or should be: the packed
    /// matrices, then the tensors that are not packed.
    public var names: [String] {
        let arrays = manifest.matrices.flatMap { name, matrix in
            PackedArrays.suffixes(of: matrix).map { name + $0 }
        }
        var rest = OrderedSet(checkpoint.tensors.map(\.name))
        rest.formUnion(manifest.checksums.keys)
        rest.subtract(arrays)
        return Array(manifest.matrices.keys) + rest
    }

    /// Checks a matrix, or a tensor that is not packed, against its checksums, its count of nonzeros and its format's
    /// invariants.
    /// - Throws: `CheckpointError` naming the tensor that is not what was written.
    /// - Complexity: O(bytes), which are all read.
    public func check(_ name: String) throws(CheckpointError) {
        let suffixes = manifest.matrices[name].map(PackedArrays.suffixes) ?? [""]
        for suffix in suffixes {
            let array = name + suffix
            let found = CRC32C.checksum(of: try checkpoint.mappedBytes(array))
            guard let expected = manifest.checksums[array], found == expected else {
                throw CheckpointError(
                    .damaged, path: checkpoint.path, subject: "tensor \(array.quoted)",
                    expected: manifest.checksums[array].map { "checksum \($0.eightDigits)" } ?? "a checksum for it",
                    found: found.eightDigits)
            }
        }
        guard let matrix = try matrix(name), let entry = manifest.matrices[name] else { return }
        try validated(name) { () throws(SparseError) in try matrix.checkInvariants() }
        if let found = matrix.countNonzeros(), found != entry.nonzeroCount {
            throw damaged(name, expected: "\(entry.nonzeroCount) nonzeros as config.json says", found: "\(found)")
        }
    }

    private func damaged(_ name: String, expected: String, found: String) -> CheckpointError {
        CheckpointError(
            .damaged, path: checkpoint.path, subject: "matrix \(name.quoted)", expected: expected, found: found)
    }

    private func validated<Result>(
        _ name: String, _ body: () throws(SparseError) -> Result
    ) throws(CheckpointError) -> Result {
        do throws(SparseError) { return try body() } catch {
            throw damaged(name, expected: "a valid encoding", found: error.description)
        }
    }

    /// The tensor `name` as elements of `type`, wherever its dtype is that.
    private func array<Element: BitwiseCopyable>(
        _ name: String, _ type: ElementType, as: Element.Type
    ) throws(CheckpointError) -> Storage<Element> {
        if let elements = try checkpoint.mappedElements(name, stored: type, as: Element.self) { return elements }
        throw CheckpointError(
            .damaged, path: checkpoint.path, subject: "tensor \(name.quoted)", expected: "aligned elements of \(type)",
            found: checkpoint[name]?.storedType ?? "nothing")
    }
}

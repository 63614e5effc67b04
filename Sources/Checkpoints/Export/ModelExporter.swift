import OrderedCollections
import OrderedJSON
import Sparse
public import Tensors

/// Writes a model, packed or not, as a folder that other programs open: plain safetensors, or compressed-tensors'
/// `sparse-bitmask`. Tensors are read one after the other, in memory for one.
///
/// Tensors of larger elements come first, so that all are aligned to their elements without gaps: readers that take
/// every tensor for a weight of the model would stumble over what fills them.
public struct ModelExporter {
    /// What was written.
    public struct Report: Sendable {
        public var tensorCount = 0
        /// Weights, zeros included.
        public var elementCount = 0
        /// Matrices that are stored without their zeros, their elements and how many of these are not zero.
        public var sparseMatrixCount = 0
        public var sparseElementCount = 0
        public var nonzeroCount = 0
    }

    private let weights: PlainWeights
    private let matrices: Set<String>

    /// - Parameter matrices: names of the matrices that pruning works on.
    /// - Throws: `CheckpointError` if the model cannot be said in Hugging Face's terms.
    public init(
        _ checkpoint: Checkpoint, matrices: [String], pool: WorkerPool
    ) throws(CheckpointError) {
        weights = try PlainWeights(checkpoint, pool: pool)
        self.matrices = Set(matrices)
        let factors = "rope_freqs.weight"
        if checkpoint[factors] != nil {
            throw CheckpointError(
                .unsupported, path: checkpoint.path, subject: "tensor \(factors.quoted)",
                expected: "rotary scaling that config.json can say", found: "a factor for every frequency")
        }
    }

    /// Writes dense tensors.
    /// - Parameter type: of all weights; nil for ``PlainWeights/plainType(of:)``.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity; then nothing is left behind.
    public func writeSafetensors(to destination: ModelRewriter.Destination, type: WeightType?) throws -> Report {
        try write(to: destination, type: type, sparse: false)
    }

    /// Writes the matrices that become smaller that way without their zeros, in compressed-tensors' `sparse-bitmask`.
    /// - Parameter type: as in ``writeSafetensors(to:type:)``.
    public func writeCompressedTensors(to destination: ModelRewriter.Destination, type: WeightType?) throws -> Report {
        try write(to: destination, type: type, sparse: true)
    }

    /// A tensor of the folder.
    private struct Piece {
        enum Content {
            case plain
            case shape
            case rowOffsets
            case values
            case bitmask
        }

        let source: String
        let content: Content
        let name: String
        let type: ElementType
        /// Of the source's elements; nil for what is no weight.
        let weightType: WeightType?
    }

    private func write(to destination: ModelRewriter.Destination, type: WeightType?, sparse: Bool) throws -> Report {
        let names = weights.names
        let possible = sparse ? names.flatMap { [$0] + (matrices.contains($0) ? Self.partNames($0) : []) } : names
        let writer = try ModelFolderWriter(
            path: destination.path, overwriting: destination.overwriting,
            keeping: [weights.checkpoint.path] + Set(weights.checkpoint.tensors.map(\.path)), names: possible,
            alignment: nil, started: destination.started)
        defer { writer.folder.abandon() }
        var report = Report()
        var encoded: OrderedDictionary<String, (offsets: [Int64], valueCount: Int)> = [:]
        var denseMatrices: [String] = []
        let steps = names.count + (sparse ? 3 * matrices.count : 0)
        var done = 0
        func advance() {
            done += 1
            destination.progress(min(done, steps), steps)
        }
        if sparse {
            for name in names where matrices.contains(name) {
                if let parts = try bitmaskOffsets(name, type: type) {
                    encoded[name] = parts
                } else {
                    denseMatrices.append(name)
                }
                advance()
            }
        }
        let pieces = try pieces(names, type: type, sparse: Set(encoded.keys))
        try writer.folder.requireSpace(
            byteCount: try pieces.reduce(0) { $0 + (try byteCount($1, encoded[$1.source]?.valueCount)) })
        for piece in pieces {
            try append(piece, encoded[piece.source], to: writer)
            weights.release(piece.source)
            advance()
        }
        for name in names {
            report.elementCount += try weights.shape(of: name).reduce(1, *)
            guard let parts = encoded[name] else { continue }
            report.sparseElementCount += try weights.shape(of: name).reduce(1, *)
            report.nonzeroCount += parts.valueCount
        }
        report.tensorCount = names.count
        report.sparseMatrixCount = encoded.count
        try destination.companions(writer.folder)
        let sparsity = 1 - Double(report.nonzeroCount) / Double(max(report.sparseElementCount, 1))
        try writer.finish(
            configuration: configuration(
                type: type, sparsity: encoded.isEmpty ? nil : sparsity, denseMatrices: denseMatrices))
        return report
    }

    /// Where rows' values begin; nil if the matrix is smaller as it is.
    private func bitmaskOffsets(
        _ name: String, type: WeightType?
    ) throws(CheckpointError) -> (offsets: [Int64], valueCount: Int)? {
        guard let shape = try? weights.shape(of: name), shape.count == 2, let type = type ?? weights.plainType(of: name)
        else { return nil }
        defer { weights.release(name) }
        let elements = try weights.elements(name, as: type)
        let parts = BitmaskEncoding.rowOffsets(rows: shape[0], columns: shape[1], elements, type)
        let byteCount = parts.valueCount * type.byteCount + shape[0] * ((shape[1] + 7) / 8 + 8)
        return byteCount < elements.count ? parts : nil
    }

    private static func partNames(_ name: String) -> [String] {
        let stem = stem(name)
        return [BitmaskParts.shape, BitmaskParts.rowOffsets, BitmaskParts.compressed, BitmaskParts.bitmask].map {
            stem + $0
        }
    }

    /// `X` of `X.weight`, as compressed-tensors has named the parts since 0.9.
    private static func stem(_ name: String) -> String {
        let suffix = ".weight"
        return name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : name
    }

    /// Everything that is to be written, tensors of larger elements first.
    private func pieces(
        _ names: [String], type: WeightType?, sparse: Set<String>
    ) throws(CheckpointError) -> [Piece] {
        var pieces: [Piece] = []
        for name in names {
            guard let stored = weights.plainType(of: name) else {
                guard let element = weights.checkpoint[name]?.encoding.elementType else {
                    throw CheckpointError(
                        .unsupported, path: weights.checkpoint.path, subject: "tensor \(name.quoted)",
                        expected: "a type of weights", found: weights.checkpoint[name]?.storedType ?? "none")
                }
                pieces.append(Piece(source: name, content: .plain, name: name, type: element, weightType: nil))
                continue
            }
            let weightType = try self.type(of: name, stored: stored, asked: type)
            func piece(_ content: Piece.Content, _ suffix: String, _ type: ElementType) -> Piece {
                Piece(
                    source: name, content: content, name: Self.stem(name) + suffix, type: type, weightType: weightType)
            }
            if sparse.contains(name) {
                pieces += [
                    piece(.shape, BitmaskParts.shape, .i64), piece(.rowOffsets, BitmaskParts.rowOffsets, .i64),
                    piece(.values, BitmaskParts.compressed, weightType.elementType),
                    piece(.bitmask, BitmaskParts.bitmask, .u8),
                ]
            } else {
                pieces.append(
                    Piece(
                        source: name, content: .plain, name: name, type: weightType.elementType, weightType: weightType)
                )
            }
        }
        let sizes = Set(pieces.map(\.type.byteCount)).sorted(by: >)
        return sizes.flatMap { size in pieces.filter { $0.type.byteCount == size } }
    }

    /// What a tensor is written as. Vectors take the matrices' type where that changes none of their values: some
    /// readers multiply what they find without looking at its type.
    private func type(of name: String, stored: WeightType, asked: WeightType?) throws(CheckpointError) -> WeightType {
        if let asked { return asked }
        guard stored == .f32, try weights.shape(of: name).count == 1, let narrow = matrixType, narrow != .f32,
            let narrowed = try? weights.elements(name, as: narrow)
        else { return stored }
        let exact = try weights.elements(name, as: .f32)
        let widened = AlignedBuffer<Float>(uninitializedCount: exact.count / 4)
        guard narrow.widen(narrowed, into: widened.elements) else { return stored }
        return Array(widened.frozen().bytes) == Array(exact) ? narrow : stored
    }

    /// The type of the first matrix.
    private var matrixType: WeightType? { weights.names.first(where: matrices.contains).flatMap(weights.plainType) }

    private func byteCount(_ piece: Piece, _ valueCount: Int?) throws(CheckpointError) -> Int {
        let shape = try weights.shape(of: piece.source)
        switch piece.content {
        case .plain: return shape.reduce(piece.type.byteCount, *)
        case .shape: return 16
        case .rowOffsets: return 8 * shape[0]
        case .values: return (valueCount ?? 0) * piece.type.byteCount
        case .bitmask: return shape[0] * ((shape[1] + 7) / 8)
        }
    }

    private func append(
        _ piece: Piece, _ parts: (offsets: [Int64], valueCount: Int)?, to writer: ModelFolderWriter
    ) throws(CheckpointError) {
        let name = piece.source
        let shape = try weights.shape(of: name)
        func append(_ shape: [Int], _ bytes: Storage<UInt8>) throws(CheckpointError) {
            try writer.append(piece.name, type: piece.type, shape: shape, bytes: bytes)
        }
        guard let type = piece.weightType else { return try append(shape, try weights.bytes(name)) }
        switch piece.content {
        case .plain: try append(shape, try weights.elements(name, as: type))
        case .shape: try append([2], Storage(shape.map { Int64($0).littleEndian }).bytes)
        case .rowOffsets: try append([shape[0]], Storage(parts?.offsets.map(\.littleEndian) ?? []).bytes)
        case .values:
            let count = parts?.valueCount ?? 0
            try append([count], BitmaskEncoding.values(try weights.elements(name, as: type), type, count: count))
        case .bitmask:
            let elements = try weights.elements(name, as: type)
            try append(
                [shape[0], (shape[1] + 7) / 8],
                BitmaskEncoding.bitmask(rows: shape[0], columns: shape[1], elements, type))
        }
    }
}

extension ModelExporter {
    /// The version of compressed-tensors whose files ours are like.
    private static let compressedTensorsVersion = "0.12.2"

    /// `config.json`: the model's own, with the type of its weights and what there is to say about compression.
    /// - Parameter sparsity: of the matrices that are stored without zeros; nil if there are none.
    private func configuration(type: WeightType?, sparsity: Double?, denseMatrices: [String]) -> JSON {
        var members = weights.checkpoint.configuration.objectValue ?? [:]
        members[PackedManifest.key] = nil
        members["dtype"] = nil
        if let type = type ?? matrixType {
            let name =
                switch type {
                case .f32: "float32"
                case .f16: "float16"
                case .bf16: "bfloat16"
                }
            members["torch_dtype"] = .string(name)
        }
        guard let sparsity else { return .object(members) }
        let ignored = ["lm_head"] + denseMatrices.map(Self.stem).filter { $0 != "lm_head" }
        members["quantization_config"] = [
            "quant_method": "compressed-tensors", "version": .string(Self.compressedTensorsVersion),
            "sparsity_config": [
                "format": .string(BitmaskLayout.unstructured.rawValue),
                "global_sparsity": .number((sparsity * 1e6).rounded() / 1e6),
                "ignore": .array(ignored.map(JSON.string)), "registry_requires_subclass": false,
                "sparsity_structure": "unstructured", "targets": ["Linear"],
            ],
            "transform_config": [:],
        ]
        return .object(members)
    }
}

public import OrderedCollections
import OrderedJSON
public import Tensors

/// Writes a safetensors file tensor by tensor, in bounded memory.
///
/// The header comes first in the file but is known last. So the names are announced up front, room is left for the
/// longest header that they can need, and the header is padded with spaces. Every tensor starts at a multiple of 64
/// bytes of the file; gaps, which the format forbids, are filled by tensors of their own
/// (``SafetensorsFile/paddingPrefix``).
///
/// The file is written under another name in the same folder and renamed by ``finish()``; a writer that never gets
/// there leaves nothing behind.
public final class SafetensorsWriter {
    /// A cache line, and the widest vector register.
    public static let alignment = 64

    /// What is copied to the system while it is still in the second-level cache from its checksum, which wants
    /// multiples of 48 KiB.
    private static let pieceByteCount = 16 * 48 << 10

    private let file: PartialFile
    private let alignment: Int
    private let metadata: OrderedDictionary<String, String>
    private let dataStart: Int
    private var remainingNames: Set<String>
    private var entries: OrderedDictionary<String, JSON> = [:]
    private var current: (name: String, type: ElementType, start: Int, checksum: CRC32C)?
    private var paddingCount = 0

    /// - Parameters:
    ///   - path: where the file will be; an existing file is replaced by ``finish()``.
    ///   - names: every tensor that may come, in any order. Those that never come only cost room in the header.
    ///   - metadata: the texts under `__metadata__`.
    ///   - alignment: of the tensors, a power of two; nil for no gaps, and so no tensors that fill them: then whoever
    ///     wants tensors to be aligned to their elements writes those of larger elements first.
    /// - Throws: `CheckpointError` if the file cannot be created, or a name is reserved or announced twice.
    public init(
        path: String, names: some Sequence<String>, metadata: OrderedDictionary<String, String> = ["format": "pt"],
        alignment tensorAlignment: Int? = SafetensorsWriter.alignment
    ) throws(CheckpointError) {
        var remainingNames: Set<String> = []
        // The worst that can come: shapes and offsets of the most digits, and a gap before every tensor.
        let widest = Int.max
        let shape = [Int](repeating: widest, count: SafetensorsHeader.maximumRank)
        func reserved(_ name: String) -> Int {
            let entry = SafetensorsWriter.entry("BOOL", shape, widest..<widest)
            return JSON.object([name: entry]).text().utf8.count
        }
        let padding = reserved(SafetensorsFile.paddingPrefix + "\(widest)")
        var headerByteCount = 2 + SafetensorsWriter.metadataText(metadata).utf8.count
        for name in names {
            guard name != SafetensorsHeader.metadataKey, !name.hasPrefix(SafetensorsFile.paddingPrefix),
                remainingNames.insert(name).inserted
            else {
                throw CheckpointError(
                    .conflict, path: path, subject: "tensor \(name.quoted)", expected: "a name of its own",
                    found: "a name that is taken")
            }
            headerByteCount += reserved(name) + padding
        }
        let alignment = SafetensorsWriter.alignment
        dataStart = (8 + headerByteCount + alignment - 1) / alignment * alignment
        guard dataStart - 8 <= SafetensorsHeader.maximumByteCount else {
            throw CheckpointError(
                .unsupported, path: path, subject: "the header",
                expected: "names that fit \(SafetensorsHeader.maximumByteCount) bytes", found: "\(dataStart - 8) bytes")
        }
        self.remainingNames = remainingNames
        self.alignment = tensorAlignment ?? 1
        self.metadata = metadata
        file = try PartialFile(path: path)
        try file.append(repeating: UInt8(ascii: " "), count: dataStart)
    }

    /// Appends a whole tensor.
    /// - Parameter bytes: the elements, row-major and little-endian: as many as `shape` says.
    /// - Returns: the CRC-32C checksum of `bytes`.
    /// - Throws: `CheckpointError` if the system cannot write, with the reason: no space, no permission.
    /// - Precondition: `name` was announced and has not been written, and no tensor is begun.
    @discardableResult
    public func append(
        _ name: String, type: ElementType, shape: [Int], bytes: UnsafeRawBufferPointer
    ) throws(CheckpointError) -> UInt32 {
        try begin(name, type: type)
        try write(bytes)
        return try end(shape: shape)
    }

    /// Begins a tensor whose bytes follow by ``write(_:)`` and whose shape is given to ``end(shape:)``.
    public func begin(_ name: String, type: ElementType) throws(CheckpointError) {
        precondition(current == nil, "tensor \(current?.name ?? "") is not ended")
        precondition(remainingNames.remove(name) != nil, "tensor \(name) was not announced or is written already")
        let gap = (alignment - file.byteCount % alignment) % alignment
        if gap > 0 {
            let start = file.byteCount
            try file.append(repeating: 0, count: gap)
            record(SafetensorsFile.paddingPrefix + "\(paddingCount)", .u8, [gap], from: start)
            paddingCount += 1
        }
        current = (name, type, file.byteCount, CRC32C())
    }

    /// Appends bytes of the tensor that is begun.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
        precondition(current != nil, "no tensor is begun")
        try bytes.forEachPiece(of: Self.pieceByteCount) { piece throws(CheckpointError) in
            current!.checksum.update(piece)
            try file.append(piece)
        }
    }

    /// Ends the tensor that is begun.
    /// - Returns: the CRC-32C checksum of its bytes.
    /// - Precondition: `shape` has at most eight dimensions and stands for the bytes written.
    @discardableResult
    public func end(shape: [Int]) throws(CheckpointError) -> UInt32 {
        guard let (name, type, start, checksum) = current else { preconditionFailure("no tensor is begun") }
        precondition(shape.count <= SafetensorsHeader.maximumRank && shape.allSatisfy { $0 >= 0 })
        let byteCount = overflowSafeProduct(shape).flatMap(StoredEncoding(type).byteCount(elementCount:))
        precondition(
            byteCount == file.byteCount - start, "\(name): \(file.byteCount - start) bytes for \(shape) \(type)")
        record(name, type, shape, from: start)
        current = nil
        return checksum.checksum
    }

    /// Writes the header, waits until the disk holds the file, and gives it its name.
    /// - Throws: `CheckpointError` if the system cannot; then the file at the path is what it was before.
    public func finish() throws(CheckpointError) {
        precondition(current == nil, "tensor \(current?.name ?? "") is not ended")
        var members: OrderedDictionary<String, JSON> = [:]
        if !metadata.isEmpty { members[SafetensorsHeader.metadataKey] = .object(metadata.mapValues(JSON.string)) }
        members.merge(entries) { _, _ in preconditionFailure("the metadata's name is reserved") }
        let length = dataStart - 8
        var header = withUnsafeBytes(of: UInt64(length).littleEndian, Array.init)
        header += Array(JSON.object(members).text().utf8)
        precondition(header.count <= dataStart, "the room for the header was computed too small")
        header += [UInt8](repeating: UInt8(ascii: " "), count: dataStart - header.count)
        try file.overwriteStart(header)
        try file.finish()
    }

    private func record(_ name: String, _ type: ElementType, _ shape: [Int], from start: Int) {
        let range = start - dataStart..<file.byteCount - dataStart
        entries[name] = SafetensorsWriter.entry(StoredEncoding(type).name, shape, range)
    }

    private static func entry(_ type: String, _ shape: [Int], _ range: Range<Int>) -> JSON {
        [
            "dtype": .string(type), "shape": .array(shape.map(JSON.integer)),
            "data_offsets": [.integer(range.lowerBound), .integer(range.upperBound)],
        ]
    }

    private static func metadataText(_ metadata: OrderedDictionary<String, String>) -> String {
        JSON.object([SafetensorsHeader.metadataKey: .object(metadata.mapValues(JSON.string))]).text()
    }
}

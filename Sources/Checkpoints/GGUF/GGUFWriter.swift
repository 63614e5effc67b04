import Tensors

/// Writes a GGUF file of version 3, tensor after tensor: the header, which says where each lies, comes first.
///
/// The file is written under another name in the same folder and renamed by ``finish()``; a writer that never gets
/// there leaves nothing behind.
/// Source: the GGUF specification in ggml's `docs/gguf.md`.
final class GGUFWriter {
    /// A tensor as the header lists it.
    struct Tensor {
        let name: String
        /// Slowest dimension first, as everywhere but in the file.
        let shape: [Int]
        let type: GGUFTensorType
        let byteCount: Int
    }

    private static let alignment = 32

    private let file: PartialFile
    private let tensors: [Tensor]
    private var next = 0
    /// Bytes of the whole file.
    let byteCount: Int

    /// - Parameters:
    ///   - tensors: in the order in which their bytes will come.
    ///   - started: called with the path under which the file is being written.
    init(
        path: String, metadata: GGUFMetadataWriter, tensors: [Tensor], started: (String) -> Void
    ) throws(CheckpointError) {
        var header = Array("GGUF".utf8)
        header.append(number: UInt32(3))
        header.append(number: UInt64(tensors.count))
        header.append(number: UInt64(metadata.count))
        header += metadata.bytes
        var offset = 0
        for tensor in tensors {
            header.append(text: tensor.name)
            header.append(number: UInt32(tensor.shape.count))
            for dimension in tensor.shape.reversed() { header.append(number: UInt64(dimension)) }
            header.append(number: tensor.type.rawValue)
            header.append(number: UInt64(offset))
            offset += Self.padded(tensor.byteCount)
        }
        header += [UInt8](repeating: 0, count: Self.padded(header.count) - header.count)
        byteCount = header.count + offset
        self.tensors = tensors
        let folder = FileSystem.split(path).folder
        if let free = FileSystem.freeByteCount(of: folder), free < byteCount {
            throw CheckpointError(
                .missing, path: path, subject: "the disk", expected: "room for \(byteCount) bytes",
                found: "\(free) bytes free")
        }
        file = try PartialFile(path: path)
        started(file.partialPath)
        try file.append(header)
    }

    private static func padded(_ byteCount: Int) -> Int { (byteCount + alignment - 1) / alignment * alignment }

    /// Appends the bytes of the next tensor.
    /// - Precondition: `name` is its name, and `bytes` are as many as was announced.
    func append(_ name: String, _ bytes: Storage<UInt8>) throws(CheckpointError) {
        let tensor = tensors[next]
        precondition(tensor.name == name && tensor.byteCount == bytes.count, "\(bytes.count) bytes of \(name)")
        next += 1
        defer { withExtendedLifetime(bytes) {} }  // a buffer does not keep the storage alive
        try file.append(UnsafeRawBufferPointer(bytes.buffer))
        try file.append(repeating: 0, count: Self.padded(bytes.count) - bytes.count)
    }

    /// Gives the file its name.
    func finish() throws(CheckpointError) {
        precondition(next == tensors.count, "\(next) of \(tensors.count) tensors were written")
        try file.finish()
    }
}

public import OrderedCollections
public import Tensors

/// One tensor of a GGUF file.
public struct GGUFTensor: Sendable, Equatable {
    public let name: String
    /// Fastest dimension first, as in the file: `[columns, rows]` of a matrix.
    public let dimensions: [Int]
    public let type: GGUFTensorType
    /// Where its elements lie in the file.
    public let byteRange: Range<Int>
}

/// A memory-mapped GGUF file, version 2 or 3, little-endian.
///
///     magic "GGUF", u32 version, u64 tensor count, u64 metadata count
///     metadata: string key, u32 type, value                                 (string: u64 length, UTF-8)
///     tensors:  string name, u32 rank, u64 dimensions, u32 type, u64 offset
///     padding to the alignment, then the tensors' elements, at offsets from here
///
/// The file is hostile until read: every count has a limit, all arithmetic is safe from overflow, and what is allocated
/// stays within a small multiple of the header's bytes. The mapping follows the file: it must not be truncated while
/// open.
/// Source: the GGUF specification in ggml's `docs/gguf.md`.
public struct GGUFFile: Sendable {
    public let file: MappedFile
    let header: GGUFHeader

    /// Opens and checks the file at `path`. The tensors' elements are not touched.
    /// - Throws: `CheckpointError` if it cannot be read or is no well-formed GGUF file.
    /// - Complexity: O(header bytes).
    public init(path: String) throws(CheckpointError) {
        do throws(FileError) {
            file = try MappedFile(path: path)
        } catch {
            throw CheckpointError(error)
        }
        header = try GGUFHeader(parsing: file.bytes, path: path)
    }

    public var path: String { file.path }
    /// 2 or 3.
    public var version: Int { header.version }
    /// Tensors start at multiples of this many bytes from the start of the data.
    public var alignment: Int { header.alignment }
    public var metadata: OrderedDictionary<String, GGUFValue> { header.metadata }
    /// The tensors in the order of the file.
    public var tensors: OrderedDictionary<String, GGUFTensor> { header.tensors }

    /// The elements of `tensor`, which must be one of ``tensors``, as stored.
    public func bytes(of tensor: GGUFTensor) -> Storage<UInt8> { file.bytes[tensor.byteRange] }
}

/// What stands in a GGUF file before its tensors' elements.
struct GGUFHeader: Sendable {
    let version: Int
    var alignment = 32
    var metadata: OrderedDictionary<String, GGUFValue> = [:]
    var tensors: OrderedDictionary<String, GGUFTensor> = [:]
}

public import OrderedCollections
import OrderedJSON
public import Tensors

/// One tensor of a safetensors file.
public struct SafetensorsTensor: Sendable, Equatable {
    public let name: String
    /// Slowest dimension first; empty for a scalar.
    public let shape: [Int]
    public let encoding: StoredEncoding
    /// Where its elements lie in the file, row-major.
    public let byteRange: Range<Int>
}

/// A memory-mapped safetensors file.
///
///     u64 little-endian   length of the header
///     header              JSON: {"name": {"dtype": "F16", "shape": [r, c], "data_offsets": [begin, end]}, ...},
///                         perhaps with "__metadata__": {"key": "value", ...}, perhaps padded with spaces
///     data                the tensors, without holes or overlaps; offsets count from here
///
/// The file is hostile until read: sizes and offsets are checked without overflow, and what is allocated stays within a
/// small multiple of the header's bytes. The mapping follows the file: it must not be truncated while open.
/// Source: the format's description at github.com/huggingface/safetensors and its own validation.
public struct SafetensorsFile: Sendable {
    public let file: MappedFile
    let header: SafetensorsHeader

    /// Opens and checks the file at `path`. The tensors' elements are not touched.
    /// - Throws: `CheckpointError` if it cannot be read or is no well-formed safetensors file.
    /// - Complexity: O(header bytes + tensors x log tensors).
    public init(path: String) throws(CheckpointError) {
        file = try FileSystem.map(path)
        header = try SafetensorsHeader(parsing: file.bytes, path: path)
    }

    public var path: String { file.path }
    /// The texts under `__metadata__`.
    public var metadata: OrderedDictionary<String, String> { header.metadata }
    /// The tensors in the order of their bytes, padding included.
    public var tensors: OrderedDictionary<String, SafetensorsTensor> { header.tensors }

    /// The elements of `tensor`, which must be one of ``tensors``.
    public func bytes(of tensor: SafetensorsTensor) -> Storage<UInt8> { file.bytes[tensor.byteRange] }

    /// Names that start with this are no weights but fill the gaps before aligned tensors: the format forbids holes.
    public static let paddingPrefix = "__padding__."
}

/// What the header of a safetensors file says.
struct SafetensorsHeader: Sendable {
    static let maximumByteCount = 100_000_000
    static let maximumRank = 8
    static let metadataKey = "__metadata__"

    var metadata: OrderedDictionary<String, String> = [:]
    var tensors: OrderedDictionary<String, SafetensorsTensor> = [:]

    /// The format's element types by its own names. Types below one byte come in whole bytes.
    static let encodings: [String: StoredEncoding] = {
        var encodings = ElementType.allCases.map(StoredEncoding.init)
        for name in ["F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"] {
            encodings.append(StoredEncoding(name, bytesPerBlock: 1))
        }
        encodings.append(StoredEncoding("F4", elementsPerBlock: 2, bytesPerBlock: 1))
        encodings.append(StoredEncoding("F6_E2M3", elementsPerBlock: 4, bytesPerBlock: 3))
        encodings.append(StoredEncoding("F6_E3M2", elementsPerBlock: 4, bytesPerBlock: 3))
        encodings.append(StoredEncoding("C64", bytesPerBlock: 8))
        return Dictionary(uniqueKeysWithValues: encodings.map { ($0.name, $0) })
    }()
}

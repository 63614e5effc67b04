/// What a checkpoint says about one tensor, without reading it.
public struct TensorDescription: Sendable, Equatable {
    /// Hugging Face's name, such as `model.layers.0.self_attn.q_proj.weight`.
    public let name: String
    /// Slowest dimension first: `[rows, columns]` of a matrix, `[count]` of a vector, empty for a scalar.
    public let shape: [Int]
    public let encoding: StoredEncoding
    /// Bytes that the tensor takes in its file.
    public let byteCount: Int
    /// The file that holds it.
    public let path: String

    /// The file format's word for how the elements are stored: "Q4_1", "F16".
    public var storedType: String { encoding.name }

    /// The first dimension; 1 for a scalar.
    public var rows: Int { shape.first ?? 1 }

    /// Elements of one row: the product of all dimensions but the first, 1 for vectors and scalars.
    public var columns: Int { shape.dropFirst().reduce(1, *) }

    public var elementCount: Int { shape.reduce(1, *) }
}

/// Why products cannot be measured.
public enum ProductBenchmarkError: Error, Equatable, CustomStringConvertible {
    case memory(shape: ProductShape, byteLimit: Int)
    case wrong(format: String, tokens: Int, error: Double, limit: Double)

    public var description: String {
        switch self {
        case .memory(let shape, let byteLimit):
            "the formats of one \(shape) matrix take more than the \(byteLimit) bytes of memory that are allowed"
        case .wrong(let format, let tokens, let error, let limit):
            "the product of \(format) with \(tokens) tokens: expected an error of at most \(limit), found \(error)"
        }
    }
}

public import Engine

/// Why products cannot be measured on a GPU.
public enum GPUBenchmarkError: Error, Equatable, CustomStringConvertible {
    /// Rows of activations must be whole vectors of 16 bytes.
    case columns(shape: ProductShape)
    /// The kernel that measures bandwidth has not read what it was to read.
    case incompleteReading

    public var description: String {
        switch self {
        case .columns(let shape):
            "products on a GPU are measured with columns that are a multiple of 8, found the shape \(shape)"
        case .incompleteReading: "the kernel that measures bandwidth read something else than what it was given"
        }
    }
}

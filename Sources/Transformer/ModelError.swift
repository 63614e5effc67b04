public import CUDA

/// Why a checkpoint is no model that we can run: where, what was expected, what was found. Or why a GPU cannot run it.
public struct ModelError: Error, Equatable, CustomStringConvertible {
    public let subject: String
    public let expected: String
    public let found: String
    /// What a GPU has reported; nil if the model is to blame.
    public let device: CUDAError?

    public init(_ subject: String, expected: String, found: String) {
        self.subject = subject
        self.expected = expected
        self.found = found
        device = nil
    }

    public init(_ error: CUDAError) {
        subject = "the GPU"
        expected = "success"
        found = error.description
        device = error
    }

    public var description: String { device?.description ?? "\(subject): expected \(expected), found \(found)" }
}

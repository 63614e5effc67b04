public import Sparse
public import Tensors

/// How a decoder is run; the defaults are right for nearly everyone.
public struct RunnerOptions: Sendable {
    public var kernels: Kernels
    /// f16; i8 for long contexts in half the memory; f32 for comparisons with references.
    public var cacheElement: ElementType
    /// Tokens of a prompt that are computed at once.
    public var maximumBatchTokens: Int

    public init(kernels: Kernels = .best, cacheElement: ElementType = .f16, maximumBatchTokens: Int = 512) {
        self.kernels = kernels
        self.cacheElement = cacheElement
        self.maximumBatchTokens = maximumBatchTokens
    }
}

public import CUDA
import CUDAKernels
public import Sparse
public import Tensors
import Transformer

/// Where a decoder runs.
public enum ComputeDevice: Sendable {
    case cpu
    /// The GPU whose kernels these are.
    case cuda(KernelLibrary)
}

/// How a decoder is run; the defaults are right for nearly everyone.
public struct RunnerOptions: Sendable {
    public var device: ComputeDevice
    /// Of a CPU.
    public var kernels: Kernels
    /// f16; on a CPU also i8 for long contexts in half the memory, f32 for comparisons with references.
    public var cacheElement: ElementType
    /// Tokens of a prompt that are computed at once.
    public var maximumBatchTokens: Int

    public init(
        device: ComputeDevice = .cpu, kernels: Kernels = .best, cacheElement: ElementType = .f16,
        maximumBatchTokens: Int = 512
    ) {
        self.device = device
        self.kernels = kernels
        self.cacheElement = cacheElement
        self.maximumBatchTokens = maximumBatchTokens
    }

    /// A decoder's device, with its weights and a cache of `blockCount` blocks.
    /// - Throws: `ModelError` for a model that a GPU cannot run, or if the GPU fails.
    func backend(for model: LanguageModel, blockCount: Int, pool: WorkerPool) throws(ModelError) -> any Backend {
        switch device {
        case .cpu:
            CPUBackend(
                configuration: model.configuration, weights: model.weights,
                cache: KeyValueCache(
                    configuration: model.configuration, blockCount: blockCount, element: cacheElement),
                pool: pool, kernels: kernels, maximumBatchTokens: maximumBatchTokens)
        case .cuda(let library):
            try cudaBackend(for: model, library, blockCount: blockCount, pool: pool)
        }
    }

    /// - Parameter maximumLogitsTokens: the largest batch that will be decoded.
    func cudaBackend(
        for model: LanguageModel, _ library: KernelLibrary, blockCount: Int, pool: WorkerPool,
        maximumLogitsTokens: Int = 16
    ) throws(ModelError) -> CUDABackend {
        guard cacheElement == .f16 else {
            throw ModelError("the cache on a GPU", expected: "f16", found: "\(cacheElement)")
        }
        return try CUDABackend(
            configuration: model.configuration, weights: model.weights, library: library, blockCount: blockCount,
            pool: pool, maximumBatchTokens: max(maximumBatchTokens, maximumLogitsTokens),
            maximumLogitsTokens: maximumLogitsTokens, cublas: { try? CUBLAS.load(on: $0) })
    }
}

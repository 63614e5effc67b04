public import CUDA
public import CUDAKernels
public import Tensors

/// The decoder's steps on an NVIDIA GPU.
///
/// Weights, cache and activations are in the GPU's memory; a batch brings its token ids, positions and block ids there
/// in one copy. Activations between products are f16, or bf16 where all weights are; the residual stream, sums and
/// logits are float32; the cache is f16. Steps only give work to a stream: the host waits when it asks for logits or a
/// token.
public final class CUDABackend: Backend {
    public let maximumBatchTokens: Int
    public let maximumLogitsTokens: Int
    public var cacheBytesPerBlock: Int { configuration.layerCount * geometry.blockBytes }

    let configuration: ModelConfiguration
    let geometry: AttentionGeometry
    let blockCount: Int
    let stream: CUDA.Stream
    let weights: DeviceWeights
    /// One for each layer: f16 `[blocks, 2, cacheHeads, 16, headStride]`.
    let cache: [DeviceBuffer]
    let activations: DeviceActivations
    let steps: DecoderSteps
    /// By the place that ``ModelConfiguration/rotation(layer:)`` gives.
    let rotations: [RotationTable]
    let activation: DecoderSteps.Activation
    let products: Products
    let longProducts: LongProducts
    let workspace: ProductWorkspace
    let attention: Attention
    let attentionWorkspace: AttentionWorkspace
    let inputs: BatchInputs
    /// Of the current batch.
    var schedule: AttentionSchedule
    /// nil where every step is given to the stream by itself.
    let recordings: StepRecordings?
    let head: HeadBuffers
    /// Places in the batch whose logits are on the GPU, row by row.
    var headPlaces: [Int] = []

    /// Copies the weights to the GPU, and compiles the kernels that have not been compiled before.
    /// - Parameters:
    ///   - library: of the GPU to run on.
    ///   - blockCount: blocks of the cache.
    ///   - pool: threads to encode weights with.
    ///   - maximumBatchTokens: longer prompts are run in several batches.
    ///   - recordsSteps: whether a decoding step becomes one launch.
    ///   - cublas: makes the products of long prompts; nil where it is not there.
    /// - Throws: `ModelError` for weights that are damaged or that 16 bits cannot hold, for heads beyond the kernels'
    ///   limits, or if the GPU's memory is full.
    public init(
        configuration: ModelConfiguration, weights: DecoderWeights, library: KernelLibrary, blockCount: Int,
        pool: WorkerPool, maximumBatchTokens: Int = 512, maximumLogitsTokens: Int = 16, recordsSteps: Bool = true,
        cublas: @escaping (CUDA.Stream) -> CUBLAS? = { _ in nil }
    ) throws(ModelError) {
        precondition(maximumBatchTokens >= 1 && maximumLogitsTokens >= 1 && blockCount >= 1)
        precondition(KeyValueCache.blockTokens == AttentionGeometry.blockTokens)
        self.maximumBatchTokens = maximumBatchTokens
        self.maximumLogitsTokens = min(maximumLogitsTokens, maximumBatchTokens)
        self.configuration = configuration
        self.blockCount = blockCount
        geometry = try Self.geometry(of: configuration)
        let geometry = geometry
        let logitsTokens = self.maximumLogitsTokens
        do throws(CUDAError) { stream = try CUDA.Stream(in: library.context) } catch { throw ModelError(error) }
        self.weights = try DeviceWeights(weights, configuration: configuration, pool: pool, on: stream)
        activation = DecoderSteps.Activation(configuration.activation)
        let activation = activation
        schedule = AttentionSchedule([], geometry: geometry, wantedBlocks: 1)
        recordings = recordsSteps ? StepRecordings() : nil
        products = Products(library)
        do throws(CUDAError) {
            var cache: [DeviceBuffer] = []
            for _ in 0..<configuration.layerCount {
                cache.append(try DeviceBuffer(byteCount: blockCount * geometry.blockBytes, in: library.context))
            }
            self.cache = cache
            activations = try DeviceActivations(
                configuration, geometry: geometry, activation: activation, tokens: maximumBatchTokens,
                logitsTokens: logitsTokens, on: stream)
            steps = try DecoderSteps(library, valueType: self.weights.valueType)
            var rotations: [RotationTable] = []
            for rotary in configuration.rotaries {
                rotations.append(
                    try RotationTable(
                        frequencies: rotary.frequencies(
                            headSize: configuration.headSize, factors: weights.rotaryFactors),
                        long: rotary.shortLimit.map { _ in
                            rotary.frequencies(
                                headSize: configuration.headSize, factors: weights.rotaryFactors, isLong: true)
                        },
                        factor: rotary.attentionFactor, positionCount: blockCount * AttentionGeometry.blockTokens,
                        on: stream))
            }
            self.rotations = rotations
            workspace = try ProductWorkspace(on: stream)
            longProducts = try LongProducts(products, cublas: cublas, on: stream)
            attention = try Attention(geometry, library)
            attentionWorkspace = try AttentionWorkspace(geometry, on: stream)
            inputs = try BatchInputs(
                byteCount: 64 * maximumBatchTokens + 8 * blockCount, rotary: configuration.rotary, on: stream)
            head = try HeadBuffers(
                logitsTokens: logitsTokens, vocabularySize: configuration.vocabularySize, in: library.context)
        } catch { throw ModelError(error) }
    }

    private static func geometry(of configuration: ModelConfiguration) throws(ModelError) -> AttentionGeometry {
        let group = configuration.headCount / configuration.keyValueHeadCount
        guard configuration.headSize <= AttentionGeometry.maximumHeadSize else {
            throw ModelError(
                "the heads' size for a GPU", expected: "at most \(AttentionGeometry.maximumHeadSize)",
                found: "\(configuration.headSize)")
        }
        guard group <= AttentionGeometry.maximumGroup else {
            throw ModelError(
                "query heads of a key-value head for a GPU", expected: "at most \(AttentionGeometry.maximumGroup)",
                found: "\(group)")
        }
        return AttentionGeometry(
            cacheHeads: configuration.keyValueHeadCount, group: group, headSize: configuration.headSize)
    }

    /// Bytes of the weights that every decoding step reads, as they lie in the GPU's memory.
    public var weightBytesPerStep: Int { weights.byteCountPerStep }

    /// Sets all keys and values to zero: for measurements over a context that nobody has written.
    /// - Throws: `ModelError` if the device fails.
    public func clearCache() throws(ModelError) {
        try onDevice { () throws(CUDAError) in for layer in cache { try layer.enqueueFill(on: stream) } }
    }

    /// All weights were checked when they were copied.
    public func verify(layer: Int) {}

    /// What the driver reports becomes the model's error.
    func onDevice<Result>(_ body: () throws(CUDAError) -> Result) throws(ModelError) -> Result {
        do { return try body() } catch { throw ModelError(error) }
    }
}

extension DecoderSteps.Activation {
    fileprivate init(_ activation: ModelConfiguration.Activation) {
        self =
            switch activation {
            case .gatedSilu: .gatedSilu
            case .gatedGeluTanh: .gatedGeluTanh
            case .relu: .relu
            case .gelu: .gelu
            case .geluTanh: .geluTanh
            }
    }
}

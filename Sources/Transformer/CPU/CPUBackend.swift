public import Sparse
public import Tensors

/// The decoder's steps on a CPU.
public final class CPUBackend: Backend {
    public let maximumBatchTokens: Int
    public let maximumLogitsTokens: Int
    public var cacheBytesPerBlock: Int { cache.bytesPerBlock }

    let configuration: ModelConfiguration
    let weights: DecoderWeights
    let cache: KeyValueCache
    let pool: WorkerPool
    let kernels: Kernels
    let buffers: ActivationBuffers
    /// Each layer's products, cut into chunks once; they name the arrays of `weights`.
    let layerProducts: [LayerProducts]
    let headProducts: ProductGroup
    let rotaryFrequencies: [Double]
    /// The input of the current group of products.
    let preparedInput: PreparedInput
    /// ``Kernels/scratchByteCount`` bytes for every thread, behind each other.
    let scratch: AlignedBuffer<UInt8>
    /// What the attention of the current batch is cut into.
    var attentionPlan: AttentionPlan
    let attentionPartials: AttentionPartials

    /// - Parameters:
    ///   - cache: made for the same configuration.
    ///   - maximumBatchTokens: longer prompts are run in several batches.
    public init(
        configuration: ModelConfiguration, weights: DecoderWeights, cache: KeyValueCache, pool: WorkerPool,
        kernels: Kernels = .best, maximumBatchTokens: Int = 512, maximumLogitsTokens: Int = 16
    ) {
        precondition(maximumBatchTokens >= 1 && maximumLogitsTokens >= 1)
        self.maximumBatchTokens = maximumBatchTokens
        self.maximumLogitsTokens = min(maximumLogitsTokens, maximumBatchTokens)
        self.configuration = configuration
        self.weights = weights
        self.cache = cache
        self.pool = pool
        self.kernels = kernels
        buffers = ActivationBuffers(
            configuration, tokens: maximumBatchTokens, logitsTokens: self.maximumLogitsTokens)
        layerProducts = weights.layers.map { LayerProducts($0, threadCount: pool.threadCount) }
        headProducts = ProductGroup([weights.head], threadCount: pool.threadCount)
        rotaryFrequencies = configuration.rotary.frequencies(
            headSize: configuration.headSize, factors: weights.rotaryFactors)
        preparedInput = PreparedInput(
            for: weights.layers.flatMap(\.matrices) + [weights.head], maximumTokens: maximumBatchTokens,
            kernels: kernels)
        attentionPlan = AttentionPlan(configuration)
        attentionPartials = AttentionPartials(headSize: configuration.headSize)
        scratch = AlignedBuffer(uninitializedCount: pool.threadCount * Kernels.scratchByteCount)
    }

    public func verify(layer: Int) throws(ModelError) {
        try weights.pendingChecks.run(layer, on: pool)
    }

    func scratch(ofThread thread: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(scratch.pointer + thread * Kernels.scratchByteCount)
    }

    /// Brings the input of a group of products into the forms that its matrices read, all tokens, once for all chunks
    /// of the group: the norm of the residual stream where it is that, then ``PreparedInput``'s forms.
    func prepareInput(_ source: InputSource, forms: InputForms, tokens: Int) {
        let input: UnsafePointer<Float>
        let columns: Int
        switch source {
        case .hidden(let norm):
            columns = configuration.hiddenSize
            pool.forEachToken(tokens, width: columns, NormStep(backend: self, weight: norm))
            input = UnsafePointer(buffers.normalized.pointer)
        case .normalized: (input, columns) = (UnsafePointer(buffers.normalized.pointer), configuration.hiddenSize)
        case .attended: (input, columns) = (UnsafePointer(buffers.attended.pointer), configuration.queryWidth)
        case .gated: (input, columns) = (UnsafePointer(buffers.gate.pointer), configuration.intermediateSize)
        }
        preparedInput.prepare(input, columns: columns, tokens: tokens, forms: forms, pool: pool)
    }

    /// hidden += group * input
    func addToHidden(_ group: ProductGroup, tokens: Int, input source: InputSource) {
        prepareInput(source, forms: group.forms, tokens: tokens)
        let addend = OutputRows(pointer: buffers.addend.pointer, stride: configuration.hiddenSize)
        let loop = ProductLoop(
            backend: self, group: group, tokens: tokens, outputs: (addend, addend, addend), addsToHidden: true)
        pool.run(loop, chunkCount: group.chunks.count)
    }
}

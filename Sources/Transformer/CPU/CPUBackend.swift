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
    /// Between the embedding table and the residual stream, and between that and the head; nil where nothing stands.
    let embeddingProducts: ProductGroup?
    let headProjectionProducts: ProductGroup?
    let headProducts: ProductGroup
    /// The ways in which layers rotate; none where positions are learned.
    let rotations: [Rotation]
    /// The input of the current group of products.
    let preparedInput: PreparedInput
    /// ``Kernels/scratchByteCount`` bytes for every thread, behind each other.
    let scratch: AlignedBuffer<UInt8>
    /// What the attention of the current batch is cut into, for each window that layers have.
    var attentionPlans: [AttentionPlan]
    let attentionPlanOfLayer: [Int]
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
        func group(_ matrix: PackedMatrix) -> ProductGroup { ProductGroup([matrix], threadCount: pool.threadCount) }
        embeddingProducts = weights.embeddingProjection.map(group)
        headProjectionProducts = weights.headProjection.map(group)
        headProducts = group(weights.head)
        rotations = configuration.rotaries.map {
            Rotation($0, headSize: configuration.headSize, factors: weights.rotaryFactors)
        }
        preparedInput = PreparedInput(
            for: weights.layers.flatMap(\.matrices) + weights.outerMatrices, maximumTokens: maximumBatchTokens,
            kernels: kernels)
        let windows = (0..<configuration.layerCount).map { configuration.window(layer: $0) }
        let distinct = Array(Set(windows))
        attentionPlans = distinct.map { AttentionPlan(configuration, window: $0) }
        attentionPlanOfLayer = windows.map { window in distinct.firstIndex { $0 == window }! }
        attentionPartials = AttentionPartials(headSize: configuration.headSize)
        scratch = AlignedBuffer(uninitializedCount: pool.threadCount * Kernels.scratchByteCount)
    }

    public func verify(layer: Int) throws(ModelError) {
        try weights.pendingChecks.run(layer, on: pool)
    }

    /// Where the sines and cosines of a token's position begin, of one of the rotations.
    func rotationPlace(_ rotation: Int, token: Int) -> Int {
        (rotation * maximumBatchTokens + token) * configuration.headSize / 2
    }

    /// Brings the input of a group of products into the forms that its matrices read, all tokens, once for all chunks
    /// of the group: the norm of the residual stream where it is that, then ``PreparedInput``'s forms.
    func prepareInput(_ source: InputSource, forms: InputForms, tokens: Int) {
        let input: UnsafePointer<Float>
        let columns: Int
        switch source {
        case .hidden(let norm):
            columns = configuration.hiddenSize
            if let norm { normalizeHidden(by: norm, tokens: tokens, into: buffers.normalized.pointer) }
            input = UnsafePointer(norm == nil ? buffers.hidden.pointer : buffers.normalized.pointer)
        case .embedded: (input, columns) = (UnsafePointer(buffers.embedded.pointer), configuration.embeddingSize)
        case .normalized: (input, columns) = (UnsafePointer(buffers.normalized.pointer), configuration.hiddenSize)
        case .attended: (input, columns) = (UnsafePointer(buffers.attended.pointer), configuration.queryWidth)
        case .activated: (input, columns) = (UnsafePointer(buffers.gate.pointer), configuration.intermediateSize)
        }
        preparedInput.prepare(input, columns: columns, tokens: tokens, forms: forms, pool: pool)
    }

    func normalizeHidden(by norm: DecoderWeights.Norm, tokens: Int, into output: UnsafeMutablePointer<Float>) {
        pool.forEachToken(
            tokens, width: configuration.hiddenSize, NormStep(backend: self, norm: norm, output: output))
    }

    /// One row of the residual stream's width.
    func normalize(
        _ input: UnsafePointer<Float>, by norm: DecoderWeights.Norm, into output: UnsafeMutablePointer<Float>
    ) {
        kernels.normalize(
            input, weight: norm.weight.pointer, bias: norm.bias?.pointer, width: configuration.hiddenSize,
            epsilon: configuration.normEpsilon, into: output)
    }

    /// output = group * input, of a group of one matrix.
    func multiply(
        _ group: ProductGroup, by source: InputSource, tokens: Int, into output: OutputRows,
        finish: ProductLoop.Finish = .nothing
    ) {
        prepareInput(source, forms: group.forms, tokens: tokens)
        pool.run(
            ProductLoop(group, output: output, finish: finish, backend: self), chunkCount: group.chunks.count)
    }

    /// hidden += group * input, or the norm of that product; then the norm of hidden where that stands behind.
    func addToHidden(
        _ group: ProductGroup, tokens: Int, input source: InputSource, norm: DecoderWeights.Norm,
        outputNorm: DecoderWeights.Norm?
    ) {
        let addend = OutputRows(pointer: buffers.addend.pointer, stride: configuration.hiddenSize)
        multiply(
            group, by: source, tokens: tokens, into: addend,
            finish: outputNorm == nil ? .addition(to: buffers.hidden.pointer) : .nothing)
        if let outputNorm {
            pool.forEachToken(
                tokens, width: 2 * configuration.hiddenSize, NormedAdditionStep(backend: self, norm: outputNorm))
        }
        if !configuration.normsBefore { normalizeHidden(by: norm, tokens: tokens, into: buffers.hidden.pointer) }
    }
}

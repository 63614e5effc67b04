import Tensors

/// A batch's activations, allocated once for the largest batch; memory that no batch reaches is never committed.
/// All float32, row-major; a step overwrites its outputs whole for the tokens of the batch.
final class ActivationBuffers {
    /// `[tokens, embeddingSize]`: rows of the embedding table before, or what the head reads behind their projections;
    /// empty where there are none.
    let embedded: AlignedBuffer<Float>
    /// `[tokens, hiddenSize]`: the residual stream.
    let hidden: AlignedBuffer<Float>
    /// `[tokens, hiddenSize]`: hidden, normalised.
    let normalized: AlignedBuffer<Float>
    /// `[tokens, queryWidth]`
    let queries: AlignedBuffer<Float>
    /// `[tokens, keyValueWidth]`
    let keys: AlignedBuffer<Float>
    /// `[tokens, keyValueWidth]`
    let values: AlignedBuffer<Float>
    /// `[tokens, queryWidth]`
    let attended: AlignedBuffer<Float>
    /// `[tokens, hiddenSize]`: what is added to hidden.
    let addend: AlignedBuffer<Float>
    /// `[tokens, intermediateSize]`: gate, then silu(gate) * up; without a gate what the MLP's activation gives.
    let gate: AlignedBuffer<Float>
    /// `[tokens, intermediateSize]`; empty without a gate.
    let up: AlignedBuffer<Float>
    /// `[rotations, tokens, headSize / 2]`, by the ways in which layers rotate; tokens of the largest batch.
    let cosines: AlignedBuffer<Float>
    /// `[rotations, tokens, headSize / 2]`
    let sines: AlignedBuffer<Float>
    /// `[logitsTokens, vocabularySize]`
    let logits: AlignedBuffer<Float>

    init(_ configuration: ModelConfiguration, tokens: Int, logitsTokens: Int) {
        func rows(of width: Int) -> AlignedBuffer<Float> { AlignedBuffer(uninitializedCount: tokens * width) }
        embedded = rows(of: configuration.projectsEmbeddings ? configuration.embeddingSize : 0)
        hidden = rows(of: configuration.hiddenSize)
        normalized = rows(of: configuration.hiddenSize)
        queries = rows(of: configuration.queryWidth)
        keys = rows(of: configuration.keyValueWidth)
        values = rows(of: configuration.keyValueWidth)
        attended = rows(of: configuration.queryWidth)
        addend = rows(of: configuration.hiddenSize)
        gate = rows(of: configuration.intermediateSize)
        up = rows(of: configuration.activation.isGated ? configuration.intermediateSize : 0)
        cosines = rows(of: configuration.rotaries.count * configuration.headSize / 2)
        sines = rows(of: configuration.rotaries.count * configuration.headSize / 2)
        logits = AlignedBuffer(uninitializedCount: logitsTokens * configuration.vocabularySize)
    }
}

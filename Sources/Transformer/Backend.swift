/// A device that holds a decoder's weights, cache and activations and runs the steps of a layer.
///
/// The decoder calls the steps in order and sees no buffer: on a CPU a step is one or two fork-joins, on a GPU a few
/// kernel launches. `hidden` is the residual stream `[tokens, hiddenSize]`.
public protocol Backend: AnyObject {
    /// Tokens that one batch may hold.
    var maximumBatchTokens: Int { get }
    /// Tokens whose logits one call of ``logits(ofTokens:)`` may ask for.
    var maximumLogitsTokens: Int { get }

    /// Makes sure that a layer's weights are what was written; `layerCount` stands for those outside the layers.
    func verify(layer: Int) throws(ModelError)
    /// Begins a batch: hidden = rows of the embedding table.
    func embed(_ batch: Batch)
    /// From the normalised hidden: queries, keys and values, the first two rotated, the last two put into the cache.
    func projectAttention(layer: Int, _ batch: Batch)
    /// Softmax attention of every query over its sequence's cached tokens, itself included.
    func attend(layer: Int, _ batch: Batch)
    /// hidden += output projection of what was attended to.
    func addAttention(layer: Int, _ batch: Batch)
    /// hidden += down(silu(gate) * up) of the normalised hidden.
    func addMLP(layer: Int, _ batch: Batch)
    /// Head over the normalised hidden of the given tokens (places in the batch): `[count, vocabularySize]`, valid
    /// until the next call.
    func logits(ofTokens tokens: [Int]) -> UnsafeBufferPointer<Float>
}

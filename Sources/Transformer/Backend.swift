/// A device that holds a decoder's weights, cache and activations and runs the steps of a layer.
///
/// The decoder calls the steps in order and sees no buffer: on a CPU a step is one or two fork-joins, on a GPU a few
/// kernel launches. `hidden` is the residual stream `[tokens, hiddenSize]`. Steps throw what a device may report at any
/// time, and the first of them what is wrong with weights that are used for the first time.
public protocol Backend: AnyObject {
    /// Tokens that one batch may hold.
    var maximumBatchTokens: Int { get }
    /// Tokens whose logits one call of ``logits(ofTokens:)`` may ask for.
    var maximumLogitsTokens: Int { get }
    /// Bytes of one block of the cache, ``KeyValueCache/blockTokens`` tokens in all layers.
    var cacheBytesPerBlock: Int { get }

    /// Makes sure that a layer's weights are what was written; `layerCount` stands for those outside the layers.
    func verify(layer: Int) throws(ModelError)
    /// Runs a batch, whose steps `steps` calls; a device that has recorded the same steps before may replay them.
    func run(_ batch: Batch, steps: () throws(ModelError) -> Void) throws(ModelError)
    /// Begins a batch: hidden = rows of the embedding table.
    func embed(_ batch: Batch) throws(ModelError)
    /// From the normalised hidden: queries, keys and values, the first two rotated, the last two put into the cache.
    func projectAttention(layer: Int, _ batch: Batch) throws(ModelError)
    /// Softmax attention of every query over its sequence's cached tokens, itself included.
    func attend(layer: Int, _ batch: Batch) throws(ModelError)
    /// hidden += output projection of what was attended to.
    func addAttention(layer: Int, _ batch: Batch) throws(ModelError)
    /// hidden += down(silu(gate) * up) of the normalised hidden.
    func addMLP(layer: Int, _ batch: Batch) throws(ModelError)
    /// Head over the normalised hidden of the given tokens (places in the batch): `[count, vocabularySize]`, valid
    /// until the next call.
    func logits(ofTokens tokens: [Int]) throws(ModelError) -> UnsafeBufferPointer<Float>
    /// The token of the largest logit after a place in the batch, of several the lowest; nil if the logits themselves
    /// are to be looked at, because the device does not choose, or they have no largest number.
    func greedyToken(after place: Int) throws(ModelError) -> Int32?
}

extension Backend {
    public func run(_ batch: Batch, steps: () throws(ModelError) -> Void) throws(ModelError) { try steps() }
    public func greedyToken(after place: Int) throws(ModelError) -> Int32? { nil }
}

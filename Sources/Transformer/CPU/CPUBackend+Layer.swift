import Sparse

// A layer is five fork-joins for a token or a few: products of queries, keys and values; attention; output product and
// addition; gate and up products and activation; down product and addition. Norms, rotation and the cache's new entries
// are done between them, by this thread while there is little of it, else by all: eight fork-joins for a prompt.
extension CPUBackend {
    public func embed(_ batch: Batch) {
        // Kernels trust the block table: a block outside the cache would be somebody else's memory.
        for block in batch.blocks { precondition(block >= 0 && block < cache.blockCount, "cache block \(block)") }
        attentionPlan.update(for: batch)
        attentionPartials.reserve(partials: attentionPlan.partialCount, joins: attentionPlan.joins.count)
        // Sines and cosines take long.
        let width = configuration.hiddenSize + 16 * configuration.headSize
        pool.forEachToken(batch.tokens.count, width: width, EmbedStep(backend: self, batch: batch))
    }

    public func projectAttention(layer index: Int, _ batch: Batch) {
        let tokens = batch.tokens.count
        let queries = OutputRows(pointer: buffers.queries.pointer, stride: configuration.queryWidth)
        let keys = OutputRows(pointer: buffers.keys.pointer, stride: configuration.keyValueWidth)
        let values = OutputRows(pointer: buffers.values.pointer, stride: configuration.keyValueWidth)
        let group = layerProducts[index].queryKeyValue
        prepareInput(.hidden(norm: weights.layers[index].inputNorm), forms: group.forms, tokens: tokens)
        let loop = ProductLoop(backend: self, group: group, tokens: tokens, outputs: (queries, keys, values))
        pool.run(loop, chunkCount: group.chunks.count)
        var cacheLayer = cache.kernelLayer(index)
        withUnsafePointer(to: &cacheLayer) { cacheLayer in
            let width = configuration.queryWidth + 2 * configuration.keyValueWidth
            pool.forEachToken(tokens, width: width, AppendStep(backend: self, cacheLayer: cacheLayer))
        }
    }

    public func addAttention(layer index: Int, _ batch: Batch) {
        addToHidden(layerProducts[index].output, tokens: batch.tokens.count, input: .attended)
    }

    public func addMLP(layer index: Int, _ batch: Batch) {
        let tokens = batch.tokens.count
        let products = layerProducts[index]
        prepareInput(
            .hidden(norm: weights.layers[index].postAttentionNorm), forms: products.gateUpForms, tokens: tokens)
        let loop = GatedLoop(
            backend: self, products: products, gate: buffers.gate.pointer, up: buffers.up.pointer,
            width: configuration.intermediateSize, tokens: tokens)
        pool.run(loop, chunkCount: products.gateUpRows.count)
        addToHidden(products.down, tokens: tokens, input: .gated)
    }

    public func logits(ofTokens tokens: [Int]) -> UnsafeBufferPointer<Float> {
        let width = configuration.hiddenSize
        for (row, token) in tokens.enumerated() {
            precondition(token >= 0 && token < maximumBatchTokens)
            kernels.table.rms_norm(
                buffers.hidden.pointer + token * width, weights.finalNorm.pointer, Int64(width),
                configuration.normEpsilon, buffers.normalized.pointer + row * width)
        }
        prepareInput(.normalized, forms: headProducts.forms, tokens: tokens.count)
        let output = OutputRows(pointer: buffers.logits.pointer, stride: configuration.vocabularySize)
        let loop = ProductLoop(
            backend: self, group: headProducts, tokens: tokens.count, outputs: (output, output, output))
        pool.run(loop, chunkCount: headProducts.chunks.count)
        return UnsafeBufferPointer(start: buffers.logits.pointer, count: tokens.count * configuration.vocabularySize)
    }
}

import Sparse

// A layer is five fork-joins for a token or a few: products of queries, keys and values; attention; output product and
// addition; gate and up products and activation; down product and addition. Norms, rotation and the cache's new entries
// are done between them, by this thread while there is little of it, else by all: eight fork-joins for a prompt.
extension CPUBackend {
    public func embed(_ batch: Batch) {
        // Kernels trust the block table: a block outside the cache would be somebody else's memory.
        for block in batch.blocks { precondition(block >= 0 && block < cache.blockCount, "cache block \(block)") }
        for index in attentionPlans.indices {
            attentionPlans[index].update(for: batch)
            attentionPartials.reserve(
                partials: attentionPlans[index].partialCount, joins: attentionPlans[index].joins.count)
        }
        let tokens = batch.tokens.count
        // Sines and cosines take long.
        let width = configuration.embeddingSize + rotations.count * 16 * configuration.headSize
        let projected = OutputRows(pointer: buffers.hidden.pointer, stride: configuration.hiddenSize)
        let rows = embeddingProducts == nil ? buffers.hidden.pointer : buffers.embedded.pointer
        pool.forEachToken(tokens, width: width, EmbedStep(backend: self, batch: batch, output: rows))
        if let embeddingProducts { multiply(embeddingProducts, by: .embedded, tokens: tokens, into: projected) }
        guard case .learned(let offset) = configuration.positions, let table = weights.positionTable else { return }
        pool.forEachToken(
            tokens, width: configuration.hiddenSize,
            PositionStep(backend: self, batch: batch, table: table, offset: offset))
    }

    public func projectAttention(layer index: Int, _ batch: Batch) {
        let tokens = batch.tokens.count
        let queries = OutputRows(pointer: buffers.queries.pointer, stride: configuration.queryWidth)
        let keys = OutputRows(pointer: buffers.keys.pointer, stride: configuration.keyValueWidth)
        let values = OutputRows(pointer: buffers.values.pointer, stride: configuration.keyValueWidth)
        let group = layerProducts[index].queryKeyValue
        let norm = configuration.normsBefore ? weights.layers[index].inputNorm : nil
        prepareInput(.hidden(norm: norm), forms: group.forms, tokens: tokens)
        pool.run(
            ProductLoop(group, outputs: (queries, keys, values), backend: self), chunkCount: group.chunks.count)
        var cacheLayer = cache.kernelLayer(index)
        withUnsafePointer(to: &cacheLayer) { cacheLayer in
            let width = configuration.queryWidth + 2 * configuration.keyValueWidth
            let step = AppendStep(
                backend: self, cacheLayer: cacheLayer, rotation: configuration.rotation(layer: index),
                queryNorm: weights.layers[index].queryNorm?.pointer, keyNorm: weights.layers[index].keyNorm?.pointer)
            pool.forEachToken(tokens, width: width, step)
        }
    }

    public func addAttention(layer index: Int, _ batch: Batch) {
        addToHidden(
            layerProducts[index].output, tokens: batch.tokens.count, input: .attended,
            norm: weights.layers[index].inputNorm, outputNorm: weights.layers[index].attentionOutputNorm)
    }

    public func addMLP(layer index: Int, _ batch: Batch) {
        let tokens = batch.tokens.count
        let products = layerProducts[index]
        let norm = weights.layers[index].postAttentionNorm
        let source = InputSource.hidden(norm: configuration.normsBefore ? norm : nil)
        switch products.inner {
        case .gated(let gated):
            prepareInput(source, forms: gated.forms, tokens: tokens)
            let gate = OutputRows(pointer: buffers.gate.pointer, stride: configuration.intermediateSize)
            let up = OutputRows(pointer: buffers.up.pointer, stride: configuration.intermediateSize)
            pool.run(GatedLoop(gated, gate: gate, up: up, backend: self), chunkCount: gated.rows.count)
        case .plain(let up):
            let output = OutputRows(pointer: buffers.gate.pointer, stride: configuration.intermediateSize)
            multiply(
                up, by: source, tokens: tokens, into: output, finish: .activation(configuration.activation))
        }
        addToHidden(
            products.down, tokens: tokens, input: .activated, norm: norm,
            outputNorm: weights.layers[index].mlpOutputNorm)
    }

    public func logits(ofTokens tokens: [Int]) -> UnsafeBufferPointer<Float> {
        let width = configuration.hiddenSize
        for (row, token) in tokens.enumerated() {
            precondition(token >= 0 && token < maximumBatchTokens)
            let (input, output) = (buffers.hidden.pointer + token * width, buffers.normalized.pointer + row * width)
            if let norm = weights.finalNorm {
                normalize(input, by: norm, into: output)
            } else {
                output.update(from: input, count: width)
            }
        }
        if let headProjectionProducts {
            let projected = OutputRows(pointer: buffers.embedded.pointer, stride: configuration.embeddingSize)
            multiply(headProjectionProducts, by: .normalized, tokens: tokens.count, into: projected)
        }
        let output = OutputRows(pointer: buffers.logits.pointer, stride: configuration.vocabularySize)
        multiply(
            headProducts, by: headProjectionProducts == nil ? .normalized : .embedded, tokens: tokens.count,
            into: output, finish: configuration.logitCap.map { .cap($0) } ?? .nothing)
        return UnsafeBufferPointer(start: buffers.logits.pointer, count: tokens.count * configuration.vocabularySize)
    }
}

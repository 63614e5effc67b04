import Sparse

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension CPUBackend {
    public func embed(_ batch: Batch) {
        // Kernels trust the block table: a block outside the cache would be somebody else's memory.
        for block in batch.blocks { precondition(block >= 0 && block < cache.blockCount, "cache block \(block)") }
        planAttention(batch)
        let width = configuration.hiddenSize
        let half = configuration.headSize / 2
        forEachToken(batch.tokens.count) { token in
            weights.embedding.widenRow(
                Int(batch.tokens[token]), into: buffers.hidden.pointer + token * width, kernels: kernels)
            // In double precision: at position 100,000 a float32 angle is off by a hundredth of a turn.
            let position = Double(batch.positions[token])
            for pair in 0..<half {
                let angle = position * rotaryFrequencies[pair]
                buffers.cosines.pointer[token * half + pair] = Float(cos(angle))
                buffers.sines.pointer[token * half + pair] = Float(sin(angle))
            }
        }
    }

    public func projectAttention(layer index: Int, _ batch: Batch) {
        let tokens = batch.tokens.count
        normalize(weights.layers[index].inputNorm, tokens: tokens)
        let queries = OutputRows(pointer: buffers.queries.pointer, stride: configuration.queryWidth)
        let keys = OutputRows(pointer: buffers.keys.pointer, stride: configuration.keyValueWidth)
        let values = OutputRows(pointer: buffers.values.pointer, stride: configuration.keyValueWidth)
        let group = layerProducts[index].queryKeyValue
        quantize(
            buffers.normalized.pointer, columns: configuration.hiddenSize, tokens: tokens, forms: group.forms)
        let loop = ProductLoop(
            backend: self, group: group, tokens: tokens, input: buffers.normalized.pointer,
            outputs: (queries, keys, values))
        pool.run(loop, chunkCount: group.chunks.count)
        appendToCache(layer: index, batch)
    }

    public func addAttention(layer index: Int, _ batch: Batch) {
        addToHidden(layerProducts[index].output, tokens: batch.tokens.count, input: buffers.attended.pointer)
    }

    public func addMLP(layer index: Int, _ batch: Batch) {
        let tokens = batch.tokens.count
        let layer = weights.layers[index]
        normalize(layer.postAttentionNorm, tokens: tokens)
        let rowRanges = layerProducts[index].gateUpRows
        quantize(
            buffers.normalized.pointer, columns: configuration.hiddenSize, tokens: tokens,
            forms: layerProducts[index].gateUpForms)
        pool.run(
            GatedLoop(backend: self, layer: layer, rowRanges: rowRanges, tokens: tokens), chunkCount: rowRanges.count)
        addToHidden(layerProducts[index].down, tokens: tokens, input: buffers.gate.pointer)
    }

    public func logits(ofTokens tokens: [Int]) -> UnsafeBufferPointer<Float> {
        let width = configuration.hiddenSize
        for (row, token) in tokens.enumerated() {
            precondition(token >= 0 && token < maximumBatchTokens)
            kernels.table.rms_norm(
                buffers.hidden.pointer + token * width, weights.finalNorm.pointer, Int64(width),
                configuration.normEpsilon, buffers.normalized.pointer + row * width)
        }
        quantize(buffers.normalized.pointer, columns: width, tokens: tokens.count, forms: headProducts.forms)
        let output = OutputRows(pointer: buffers.logits.pointer, stride: configuration.vocabularySize)
        let loop = ProductLoop(
            backend: self, group: headProducts, tokens: tokens.count, input: buffers.normalized.pointer,
            outputs: (output, output, output))
        pool.run(loop, chunkCount: headProducts.chunks.count)
        return UnsafeBufferPointer(start: buffers.logits.pointer, count: tokens.count * configuration.vocabularySize)
    }
}

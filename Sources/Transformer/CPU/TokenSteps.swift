import CKernels
import Sparse
import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// hidden = the token's row of the embedding table; the rotation of its position.
struct EmbedStep: TokenStep {
    let backend: CPUBackend
    let batch: Batch

    func run(token: Int) {
        let width = backend.configuration.hiddenSize
        let half = backend.configuration.headSize / 2
        let buffers = backend.buffers
        backend.weights.embedding.widenRow(
            Int(batch.tokens[token]), into: buffers.hidden.pointer + token * width, kernels: backend.kernels)
        // In double precision: at position 100,000 a float32 angle is off by a hundredth of a turn.
        let position = Double(batch.positions[token])
        for pair in 0..<half {
            let angle = position * backend.rotaryFrequencies[pair]
            buffers.cosines.pointer[token * half + pair] = Float(cos(angle))
            buffers.sines.pointer[token * half + pair] = Float(sin(angle))
        }
    }
}

/// normalized = norm of hidden.
struct NormStep: TokenStep {
    let backend: CPUBackend
    let weight: Storage<Float>

    func run(token: Int) {
        let width = backend.configuration.hiddenSize
        backend.kernels.table.rms_norm(
            backend.buffers.hidden.pointer + token * width, weight.pointer, Int64(width),
            backend.configuration.normEpsilon, backend.buffers.normalized.pointer + token * width)
    }
}

/// Rotates the token's queries and keys and stores its keys and values in the cache.
struct AppendStep: TokenStep {
    let backend: CPUBackend
    let cacheLayer: UnsafePointer<flash_cache_layer>

    func run(token: Int) {
        let configuration = backend.configuration
        let (buffers, table) = (backend.buffers, backend.kernels.table)
        let headSize = configuration.headSize
        let place = backend.attentionPlan.cachePlaces[token]
        let keys = buffers.keys.pointer + token * configuration.keyValueWidth
        let cosines = buffers.cosines.pointer + token * (headSize / 2)
        let sines = buffers.sines.pointer + token * (headSize / 2)
        table.rotate(
            buffers.queries.pointer + token * configuration.queryWidth, Int64(configuration.headCount),
            Int64(headSize), cosines, sines)
        table.rotate(keys, Int64(configuration.keyValueHeadCount), Int64(headSize), cosines, sines)
        table.append(
            cacheLayer, Int64(place.block), Int64(place.slot), keys,
            buffers.values.pointer + token * configuration.keyValueWidth)
    }
}

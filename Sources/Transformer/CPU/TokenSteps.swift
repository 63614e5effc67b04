import CKernels
import Sparse
import Tensors

/// output = the token's row of the embedding table, scaled; the rotations of its position.
struct EmbedStep: TokenStep {
    let backend: CPUBackend
    let batch: Batch
    /// `[tokens, embeddingSize]`
    let output: UnsafeMutablePointer<Float>

    func run(token: Int) {
        let width = backend.configuration.embeddingSize
        let buffers = backend.buffers
        let row = output + token * width
        backend.weights.embedding.widenRow(Int(batch.tokens[token]), into: row, kernels: backend.kernels)
        let scale = backend.configuration.embeddingScale
        if scale != 1 { for index in 0..<width { row[index] *= scale } }
        for index in backend.rotations.indices {
            let place = backend.rotationPlace(index, token: token)
            backend.rotations[index].turn(
                position: Int(batch.positions[token]), ofSequence: Int(batch.lengths[token]),
                cosines: buffers.cosines.pointer + place, sines: buffers.sines.pointer + place)
        }
    }
}

/// hidden += the row of the table of learned positions. Its float32 form passes through `addend`, which is free yet.
struct PositionStep: TokenStep {
    let backend: CPUBackend
    let batch: Batch
    let table: PackedMatrix
    let offset: Int

    func run(token: Int) {
        let width = backend.configuration.hiddenSize
        let row = backend.buffers.addend.pointer + token * width
        table.widenRow(Int(batch.positions[token]) + offset, into: row, kernels: backend.kernels)
        backend.kernels.table.add(backend.buffers.hidden.pointer + token * width, row, Int64(width))
    }
}

/// output = norm of hidden, of which it may take the place.
struct NormStep: TokenStep {
    let backend: CPUBackend
    let norm: DecoderWeights.Norm
    /// `[tokens, hiddenSize]`
    let output: UnsafeMutablePointer<Float>

    func run(token: Int) {
        let place = token * backend.configuration.hiddenSize
        backend.normalize(backend.buffers.hidden.pointer + place, by: norm, into: output + place)
    }
}

/// hidden += norm of the addend, which is normalised in its place.
struct NormedAdditionStep: TokenStep {
    let backend: CPUBackend
    let norm: DecoderWeights.Norm

    func run(token: Int) {
        let width = backend.configuration.hiddenSize
        let addend = backend.buffers.addend.pointer + token * width
        backend.normalize(addend, by: norm, into: addend)
        backend.kernels.table.add(backend.buffers.hidden.pointer + token * width, addend, Int64(width))
    }
}

/// Normalises and rotates the token's queries and keys, where a layer does, and stores its keys and values in the
/// cache.
struct AppendStep: TokenStep {
    let backend: CPUBackend
    let cacheLayer: UnsafePointer<flash_cache_layer>
    /// The place among the backend's rotations; nil where the layer does not rotate.
    let rotation: Int?
    /// nil where heads have no norms.
    let queryNorm: UnsafePointer<Float>?
    let keyNorm: UnsafePointer<Float>?

    func run(token: Int) {
        let (buffers, table) = (backend.buffers, backend.kernels.table)
        let headSize = Int64(backend.configuration.headSize)
        let headCount = Int64(backend.configuration.headCount)
        let keyValueHeadCount = Int64(backend.configuration.keyValueHeadCount)
        let place = backend.attentionPlans[0].cachePlaces[token]  // the same in all
        let queries = buffers.queries.pointer + token * backend.configuration.queryWidth
        let keys = buffers.keys.pointer + token * backend.configuration.keyValueWidth
        let values = buffers.values.pointer + token * backend.configuration.keyValueWidth
        if let queryNorm, let keyNorm {
            let epsilon = backend.configuration.normEpsilon
            table.rms_norm_heads(queries, headCount, headSize, queryNorm, epsilon)
            table.rms_norm_heads(keys, keyValueHeadCount, headSize, keyNorm, epsilon)
        }
        if let rotation {
            let place = backend.rotationPlace(rotation, token: token)
            let (cosines, sines) = (buffers.cosines.pointer + place, buffers.sines.pointer + place)
            table.rotate(queries, headCount, headSize, cosines, sines)
            table.rotate(keys, keyValueHeadCount, headSize, cosines, sines)
        }
        table.append(cacheLayer, Int64(place.block), Int64(place.slot), keys, values)
    }
}

import CKernels
import Sparse
import Tensors

/// The products of a group, chunk by chunk.
struct ProductLoop: ChunkedLoop {
    let backend: CPUBackend
    let group: ProductGroup
    let tokens: Int
    /// Where each of the group's matrices writes; those that it lacks are ignored.
    let outputs: (OutputRows, OutputRows, OutputRows)
    /// Whether the finished rows are added to the residual stream.
    var addsToHidden = false

    func run(chunk index: Int, thread: Int) {
        let chunk = group.chunks[index]
        let matrix = group.matrices[chunk.matrix]
        let output = chunk.matrix == 0 ? outputs.0 : chunk.matrix == 1 ? outputs.1 : outputs.2
        let kernels = backend.kernels
        matrix.multiply(
            rows: chunk.rows,
            backend.preparedInput.operands(
                for: matrix, output: output.pointer, outputStride: output.stride,
                scratch: backend.scratch(ofThread: thread)),
            kernels: kernels)
        guard addsToHidden else { return }
        for token in 0..<tokens {
            let first = token * output.stride + chunk.rows.lowerBound
            kernels.table.add(
                backend.buffers.hidden.pointer + first, output.pointer + first, Int64(chunk.rows.count))
        }
    }
}

/// silu(gate * x) * (up * x), the same rows of both products in one chunk.
struct GatedLoop: ChunkedLoop {
    let backend: CPUBackend
    let layer: DecoderWeights.Layer
    let rowRanges: [Range<Int>]
    let tokens: Int

    func run(chunk: Int, thread: Int) {
        let rows = rowRanges[chunk]
        let width = backend.configuration.intermediateSize
        let buffers = backend.buffers
        multiply(layer.gate, rows, into: buffers.gate, thread: thread)
        multiply(layer.up, rows, into: buffers.up, thread: thread)
        for token in 0..<tokens {
            let first = token * width + rows.lowerBound
            backend.kernels.table.silu_multiply(
                buffers.gate.pointer + first, buffers.up.pointer + first, Int64(rows.count))
        }
    }

    private func multiply(_ matrix: PackedMatrix, _ rows: Range<Int>, into output: AlignedBuffer<Float>, thread: Int) {
        let operands = backend.preparedInput.operands(
            for: matrix, output: output.pointer, outputStride: backend.configuration.intermediateSize,
            scratch: backend.scratch(ofThread: thread))
        matrix.multiply(rows: rows, operands, kernels: backend.kernels)
    }
}

/// The attention tasks of a batch in one layer.
struct AttentionLoop: ChunkedLoop {
    let backend: CPUBackend
    let batch: Batch
    let cacheLayer: UnsafePointer<flash_cache_layer>
    /// The batch's block ids.
    let blocks: UnsafePointer<Int32>

    func run(chunk: Int, thread: Int) {
        let task = backend.attentionPlan.tasks[chunk]
        backend.attend(
            task, cacheLayer: cacheLayer, blockTable: blocks + batch.runs[task.run].blocks.lowerBound,
            scratch: backend.scratch(ofThread: thread))
    }
}

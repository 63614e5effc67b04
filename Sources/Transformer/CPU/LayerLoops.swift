import CKernels
import Sparse
import Tensors

// A loop is copied for every chunk. These own nothing, so that threads do not pass counts of references to and fro;
// what they name outlives the loop, whose caller waits for it.

/// The products of a group, chunk by chunk.
struct ProductLoop: ChunkedLoop {
    unowned(unsafe) let backend: CPUBackend
    unowned(unsafe) let group: ProductGroup
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
    unowned(unsafe) let backend: CPUBackend
    unowned(unsafe) let products: LayerProducts
    /// `[tokens, width]`
    let gate: UnsafeMutablePointer<Float>
    let up: UnsafeMutablePointer<Float>
    let width: Int
    let tokens: Int

    func run(chunk: Int, thread: Int) {
        let rows = products.gateUpRows[chunk]
        multiply(products.gate, rows, into: gate, thread: thread)
        multiply(products.up, rows, into: up, thread: thread)
        for token in 0..<tokens {
            let first = token * width + rows.lowerBound
            backend.kernels.table.silu_multiply(gate + first, up + first, Int64(rows.count))
        }
    }

    private func multiply(
        _ matrix: MatrixView, _ rows: Range<Int>, into output: UnsafeMutablePointer<Float>, thread: Int
    ) {
        let operands = backend.preparedInput.operands(
            for: matrix, output: output, outputStride: width, scratch: backend.scratch(ofThread: thread))
        matrix.multiply(rows: rows, operands, kernels: backend.kernels)
    }
}

/// The attention tasks of a batch in one layer.
struct AttentionLoop: ChunkedLoop {
    unowned(unsafe) let backend: CPUBackend
    let cacheLayer: UnsafePointer<flash_cache_layer>
    /// The batch's runs and block ids.
    let runs: UnsafeBufferPointer<Batch.Run>
    let blocks: UnsafePointer<Int32>

    func run(chunk: Int, thread: Int) {
        let tasks = backend.attentionPlan.tasks
        // Tasks are claimed in order: while this one ran, the other threads took those behind it.
        let next = chunk + backend.pool.threadCount
        backend.attend(
            tasks[chunk], cacheLayer: cacheLayer, blockTable: blockTable(of: tasks[chunk]),
            scratch: backend.scratch(ofThread: thread),
            next: next < tasks.count ? (tasks[next], blockTable(of: tasks[next])) : nil)
    }

    private func blockTable(of task: AttentionPlan.Task) -> UnsafePointer<Int32> {
        blocks + runs[task.run].blocks.lowerBound
    }
}

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
    /// What is done with the finished rows.
    enum Finish {
        case nothing
        /// They are added to the residual stream.
        case addition
        /// They go through the MLP's activation.
        case activation
        /// They are capped, as logits.
        case cap
    }

    var finish = Finish.nothing

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
        if let bias = group.biases[chunk.matrix] {
            kernels.add(bias, to: output, rows: chunk.rows, tokens: tokens)
        }
        if finish == .nothing { return }
        for token in 0..<tokens {
            let first = token * output.stride + chunk.rows.lowerBound
            switch finish {
            case .nothing: break
            case .addition:
                kernels.table.add(
                    backend.buffers.hidden.pointer + first, output.pointer + first, Int64(chunk.rows.count))
            case .activation:
                kernels.activate(
                    output.pointer + first, count: chunk.rows.count, by: backend.configuration.activation)
            case .cap:
                guard let cap = backend.configuration.logitCap else { break }
                kernels.table.soft_cap(output.pointer + first, Int64(chunk.rows.count), cap)
            }
        }
    }
}

extension Kernels {
    /// Adds a bias to some rows of a product.
    fileprivate func add(_ bias: UnsafePointer<Float>, to output: OutputRows, rows: Range<Int>, tokens: Int) {
        for token in 0..<tokens {
            table.add(
                output.pointer + token * output.stride + rows.lowerBound, bias + rows.lowerBound, Int64(rows.count))
        }
    }
}

/// silu(gate * x) * (up * x), or with another activation, the same rows of both products in one chunk.
struct GatedLoop: ChunkedLoop {
    unowned(unsafe) let backend: CPUBackend
    unowned(unsafe) let products: GatedProducts
    /// `[tokens, width]`
    let gate: UnsafeMutablePointer<Float>
    let up: UnsafeMutablePointer<Float>
    let width: Int
    let tokens: Int

    func run(chunk: Int, thread: Int) {
        let rows = products.rows[chunk]
        multiply(products.gate, products.gateBias, rows, into: gate, thread: thread)
        multiply(products.up, products.upBias, rows, into: up, thread: thread)
        for token in 0..<tokens {
            let first = token * width + rows.lowerBound
            backend.kernels.activate(
                gate: gate + first, up: up + first, count: rows.count, by: backend.configuration.activation)
        }
    }

    private func multiply(
        _ matrix: MatrixView, _ bias: UnsafePointer<Float>?, _ rows: Range<Int>,
        into output: UnsafeMutablePointer<Float>, thread: Int
    ) {
        let operands = backend.preparedInput.operands(
            for: matrix, output: output, outputStride: width, scratch: backend.scratch(ofThread: thread))
        matrix.multiply(rows: rows, operands, kernels: backend.kernels)
        guard let bias else { return }
        backend.kernels.add(bias, to: OutputRows(pointer: output, stride: width), rows: rows, tokens: tokens)
    }
}

/// The attention tasks of a batch in one layer.
struct AttentionLoop: ChunkedLoop {
    unowned(unsafe) let backend: CPUBackend
    /// The place among the backend's plans.
    let plan: Int
    let cacheLayer: UnsafePointer<flash_cache_layer>
    /// The batch's runs and block ids.
    let runs: UnsafeBufferPointer<Batch.Run>
    let blocks: UnsafePointer<Int32>

    func run(chunk: Int, thread: Int) {
        let tasks = backend.attentionPlans[plan].tasks
        // Tasks are claimed in order: while this one ran, the other threads took those behind it.
        let next = chunk + backend.pool.threadCount
        backend.attend(
            tasks[chunk], ofPlan: plan, cacheLayer: cacheLayer, blockTable: blockTable(of: tasks[chunk]),
            scratch: backend.scratch(ofThread: thread),
            next: next < tasks.count ? (tasks[next], blockTable(of: tasks[next])) : nil)
    }

    private func blockTable(of task: AttentionPlan.Task) -> UnsafePointer<Int32> {
        blocks + runs[task.run].blocks.lowerBound
    }
}

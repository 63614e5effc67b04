import Sparse
import Tensors

// What the threads do with each chunk of a fork-join. A loop owns nothing and asks no object: two threads that count
// references to the same one pass its count to and fro, half a microsecond for what a chunk needs of them. What loops
// name outlives them, as their caller waits.

/// A matrix's product with the prepared input, where its results go, and what is added to them.
struct BoundProduct {
    private let matrix: MatrixView
    private let bias: UnsafePointer<Float>?
    /// With the scratch memory of the first thread; those of the others follow.
    private let operands: Operands
    private let kernels: Kernels

    /// - Precondition: the backend's input was prepared for the matrix.
    init(_ matrix: MatrixView, bias: UnsafePointer<Float>?, output: OutputRows, backend: CPUBackend) {
        self.matrix = matrix
        self.bias = bias
        kernels = backend.kernels
        operands = backend.preparedInput.operands(
            for: matrix, output: output.pointer, outputStride: output.stride,
            scratch: UnsafeMutableRawPointer(backend.scratch.pointer))
    }

    init(_ group: ProductGroup, matrix index: Int, output: OutputRows, backend: CPUBackend) {
        self.init(group.matrices[index], bias: group.biases[index], output: output, backend: backend)
    }

    var tokens: Int { operands.tokens }

    func run(rows: Range<Int>, thread: Int) {
        matrix.multiply(rows: rows, operands.ofThread(thread), kernels: kernels)
        guard let bias else { return }
        for token in 0..<tokens {
            kernels.table.add(output(token: token, row: rows.lowerBound), bias + rows.lowerBound, Int64(rows.count))
        }
    }

    func output(token: Int, row: Int) -> UnsafeMutablePointer<Float> {
        operands.output + token * operands.outputStride + row
    }
}

/// The products of a group, chunk by chunk.
struct ProductLoop: ChunkedLoop {
    /// What is done with the finished rows.
    enum Finish {
        case nothing
        /// They are added to `[tokens, rows]`, the residual stream.
        case addition(to: UnsafeMutablePointer<Float>)
        /// They go through the MLP's activation.
        case activation(ModelConfiguration.Activation)
        /// They are capped, as logits.
        case cap(Float)
    }

    private let chunks: UnsafeBufferPointer<RowChunk>
    /// Those of the group's matrices; a single one stands for the others.
    private let products: (BoundProduct, BoundProduct, BoundProduct)
    private let finish: Finish
    private let kernels: Kernels

    /// The products of a group of one matrix.
    init(_ group: ProductGroup, output: OutputRows, finish: Finish = .nothing, backend: CPUBackend) {
        precondition(group.matrices.count == 1)
        let product = BoundProduct(group, matrix: 0, output: output, backend: backend)
        products = (product, product, product)
        chunks = group.chunks
        self.finish = finish
        kernels = backend.kernels
    }

    /// The products of a group of three.
    init(_ group: ProductGroup, outputs: (OutputRows, OutputRows, OutputRows), backend: CPUBackend) {
        precondition(group.matrices.count == 3)
        products = (
            BoundProduct(group, matrix: 0, output: outputs.0, backend: backend),
            BoundProduct(group, matrix: 1, output: outputs.1, backend: backend),
            BoundProduct(group, matrix: 2, output: outputs.2, backend: backend)
        )
        chunks = group.chunks
        finish = .nothing
        kernels = backend.kernels
    }

    func run(chunk index: Int, thread: Int) {
        let chunk = chunks[index]
        switch chunk.matrix {
        case 0: run(products.0, rows: chunk.rows, thread: thread)
        case 1: run(products.1, rows: chunk.rows, thread: thread)
        default: run(products.2, rows: chunk.rows, thread: thread)
        }
    }

    private func run(_ product: borrowing BoundProduct, rows: Range<Int>, thread: Int) {
        product.run(rows: rows, thread: thread)
        if case .nothing = finish { return }
        for token in 0..<product.tokens {
            let output = product.output(token: token, row: rows.lowerBound)
            switch finish {
            case .nothing: break
            case .addition(let sums):
                // The residual stream's rows are as wide as the product's, which has all of its columns.
                let place = output - product.output(token: 0, row: 0)
                kernels.table.add(sums + place, output, Int64(rows.count))
            case .activation(let activation): kernels.activate(output, count: rows.count, by: activation)
            case .cap(let cap): kernels.table.soft_cap(output, Int64(rows.count), cap)
            }
        }
    }
}

/// silu(gate * x) * (up * x), or with another activation, the same rows of both products in one chunk.
struct GatedLoop: ChunkedLoop {
    private let rows: UnsafeBufferPointer<Range<Int>>
    private let gate: BoundProduct
    private let up: BoundProduct
    private let activation: ModelConfiguration.Activation
    private let kernels: Kernels

    /// - Parameter gate: gets the result, too.
    init(_ products: GatedProducts, gate: OutputRows, up: OutputRows, backend: CPUBackend) {
        rows = products.rows
        self.gate = BoundProduct(products.gate, bias: products.gateBias, output: gate, backend: backend)
        self.up = BoundProduct(products.up, bias: products.upBias, output: up, backend: backend)
        activation = backend.configuration.activation
        kernels = backend.kernels
    }

    func run(chunk: Int, thread: Int) {
        let rows = rows[chunk]
        gate.run(rows: rows, thread: thread)
        up.run(rows: rows, thread: thread)
        for token in 0..<gate.tokens {
            kernels.activate(
                gate: gate.output(token: token, row: rows.lowerBound),
                up: up.output(token: token, row: rows.lowerBound), count: rows.count, by: activation)
        }
    }
}

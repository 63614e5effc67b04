import Sparse
import Tensors

/// Activations, results and scratch memory of products with some number of tokens.
struct ProductOperands {
    let tokens: Int
    /// `[tokens, columns]` float32, random.
    private let input: AlignedBuffer<Float>
    /// The same in the forms that the matrix to be multiplied reads.
    private let prepared: PreparedInput
    /// `[tokens, rows]` float32, then `[tokens, 128]` for every thread; overwritten by every product.
    private let output: AlignedBuffer<Float>
    private let privateStart: Int
    private let scratch: AlignedBuffer<UInt8>

    /// - Parameter sets: the matrices that will be multiplied with, all of one shape.
    init(
        tokens: Int, sets: [ProductWorkingSet], threadCount: Int, kernels: Kernels, generator: inout Xoshiro256
    ) {
        self.tokens = tokens
        let (rows, columns) = (sets[0].copies[0].rows, sets[0].copies[0].columns)
        input = AlignedBuffer(repeating: 0, count: tokens * columns)
        for index in 0..<input.count { input.pointer[index] = Float(generator.uniform() * 2 - 1) }
        prepared = PreparedInput(
            for: sets.flatMap { [$0.copies[0], $0.resident] }, maximumTokens: tokens, kernels: kernels)
        privateStart = tokens * rows
        output = AlignedBuffer(repeating: 0, count: privateStart + threadCount * tokens * 128)
        scratch = AlignedBuffer(uninitializedCount: threadCount * Kernels.scratchByteCount)
    }

    /// Brings as many activations as `tokens` rows of `columns` take into the forms that a matrix reads.
    func prepare(columns: Int, forms: InputForms, pool: WorkerPool) {
        prepared.prepare(input.pointer, columns: columns, tokens: tokens, forms: forms, pool: pool)
    }

    /// - Parameter isPrivate: whether the results are the thread's own, of at most 128 rows.
    func operands(for matrix: PackedMatrix, thread: Int, isPrivate: Bool) -> Operands {
        prepared.operands(
            for: matrix.view, output: output.pointer + (isPrivate ? privateStart + thread * tokens * 128 : 0),
            outputStride: matrix.rows,
            scratch: UnsafeMutableRawPointer(scratch.pointer + thread * Kernels.scratchByteCount))
    }
}

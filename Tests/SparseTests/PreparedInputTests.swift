import KernelsUnderTest
import Sparse
import Tensors
import Testing

@Suite struct PreparedInputTests {
    private let rows = 70
    private let columns = 200

    private func matrices() throws -> [PackedMatrix] {
        let elements = randomMatrix(rows: rows, columns: columns, density: 0.15, valueType: .f16, seed: 21)
        return try everyFormat(rows: rows, columns: columns, elements: elements, valueType: .f16)
            + everyQuantization(rows: rows, columns: columns, elements: elements).map(PackedMatrix.quantized)
    }

    /// One input after the other in the same memory, longer and shorter, on any number of threads.
    @Test(arguments: [1, 3]) func givesEveryMatrixTheFormThatItReads(threads: Int) throws {
        let matrices = try matrices()
        let pool = WorkerPool(threadCount: threads)
        let forms = InputForms(of: matrices)
        for kernels in Kernels.underTest {
            let prepared = PreparedInput(for: matrices, maximumTokens: 130, kernels: kernels)
            for tokens in [130, 1, 64, 7, 33] {
                let input = randomActivations(tokens * columns, seed: UInt64(tokens))
                input.withUnsafeBufferPointer { input in
                    prepared.prepare(
                        input.baseAddress!, columns: columns, tokens: tokens, forms: forms, pool: pool)
                    for matrix in matrices {
                        expectProduct(matrix, prepared, input: Array(input), tokens: tokens, kernels: kernels)
                    }
                }
            }
        }
    }

    private func expectProduct(
        _ matrix: PackedMatrix, _ prepared: PreparedInput, input: [Float], tokens: Int, kernels: Kernels
    ) {
        let output = AlignedBuffer<Float>(repeating: .nan, count: tokens * rows)
        let scratch = AlignedBuffer<UInt8>(uninitializedCount: Kernels.scratchByteCount)
        let operands = prepared.operands(
            for: matrix.view, output: output.pointer, outputStride: rows,
            scratch: UnsafeMutableRawPointer(scratch.pointer))
        let skipsZeros = matrix.prefersTransposedInput(tokens: tokens, kernels: kernels)
        #expect((operands.transposed != nil) == skipsZeros)
        #expect(operands.quantized?.form == matrix.activationForm)
        matrix.multiply(rows: 0..<rows, operands, kernels: kernels)
        let expected = matrix.product(of: input, tokens: tokens, kernels: kernels, byColumns: skipsZeros)
        #expect(Array(output.elements) == expected, "\(kernels.instructionSet) \(matrix.format) \(tokens)")
    }

    /// Only what the group reads is prepared: a bitmap that is not in it may not be multiplied.
    @Test func preparesNothingThatNobodyReads() throws {
        let matrices = try matrices()
        let dense = matrices.filter { $0.format == .dense && $0.activationForm == nil }
        let pool = WorkerPool(threadCount: 1)
        let prepared = PreparedInput(for: dense, maximumTokens: 64, kernels: .best)
        let input = randomActivations(64 * columns, seed: 1)
        input.withUnsafeBufferPointer { input in
            prepared.prepare(
                input.baseAddress!, columns: columns, tokens: 64, forms: InputForms(of: dense), pool: pool)
            expectProduct(dense[0], prepared, input: Array(input), tokens: 64, kernels: .best)
        }
    }

    @Test func stopsWhereAFormWasForgotten() async {
        await #expect(processExitsWith: .failure) {
            let elements = randomMatrix(rows: 32, columns: 64, density: 0.1, valueType: .f16, seed: 1)
            let matrix = PackedMatrix.tiledBitmap(
                try TiledBitmap(rows: 32, columns: 64, elements: elements, valueType: .f16))
            let prepared = PreparedInput(for: [matrix], maximumTokens: 64, kernels: .best)
            let input = AlignedBuffer<Float>(repeating: 1, count: 64 * 64)
            prepared.prepare(
                input.pointer, columns: 64, tokens: 64, forms: InputForms(of: []), pool: WorkerPool(threadCount: 1))
            let scratch = AlignedBuffer<UInt8>(uninitializedCount: Kernels.scratchByteCount)
            _ = prepared.operands(
                for: matrix.view, output: input.pointer, outputStride: 32,
                scratch: UnsafeMutableRawPointer(scratch.pointer))
        }
    }
}

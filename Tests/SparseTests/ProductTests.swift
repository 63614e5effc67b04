import KernelsUnderTest
import Sparse
import Tensors
import Testing

@Suite struct ProductTests {
    static let shapes = [
        (1, 1), (2, 3), (4, 16), (5, 17), (31, 33), (32, 64), (33, 65), (63, 127), (64, 128), (127, 255), (129, 257),
        (130, 300), (192, 576), (40, 2100), (3, 4097),
    ]
    static let tokenCounts = [1, 2, 3, 5, 6, 7, 8, 9, 11, 12, 13, 24, 25, 64, 200]

    /// A float32 sum of n terms is off by at most about n * 2^-24 times the sum of their magnitudes (here below 2 each,
    /// random signs); the kernels sum in 16 lanes, far better than that.
    static func tolerance(columns: Int) -> Float { 8e-6 * Float(columns).squareRoot() + 1e-6 }

    @Test(arguments: shapes) func matchesTheDoubleReference(shape: (rows: Int, columns: Int)) throws {
        for (index, density) in [0, 0.1, 0.5, 0.9, 1].enumerated() {
            for valueType in [ElementType.f16, .bf16] {
                let elements = randomMatrix(
                    rows: shape.rows, columns: shape.columns, density: density, valueType: valueType,
                    seed: UInt64(index))
                let matrices = try everyFormat(
                    rows: shape.rows, columns: shape.columns, elements: elements, valueType: valueType)
                let tokens = Self.tokenCounts[(index * 5 + shape.rows) % Self.tokenCounts.count]
                let input = randomActivations(tokens * shape.columns, seed: 7)
                let expected = matrices[0].product(of: input, tokens: tokens, kernels: nil)
                for matrix in matrices {
                    let reference = matrix.product(of: input, tokens: tokens, kernels: nil)
                    #expect(largestDifference(reference, expected) == 0, "\(matrix.format) reference")
                    for kernels in Kernels.underTest {
                        let found = matrix.product(of: input, tokens: tokens, kernels: kernels)
                        let error = largestDifference(found, expected)
                        #expect(
                            error <= Self.tolerance(columns: shape.columns),
                            "\(kernels.instructionSet) \(matrix.format) \(valueType) \(tokens) tokens at \(density)")
                    }
                }
            }
        }
    }

    @Test(arguments: tokenCounts) func matchesTheReferenceForAnyTokenCount(tokens: Int) throws {
        let (rows, columns) = (96, 320)
        let elements = randomMatrix(rows: rows, columns: columns, density: 0.3, valueType: .f16, seed: 3)
        let input = randomActivations(tokens * columns, seed: 4)
        for matrix in try everyFormat(rows: rows, columns: columns, elements: elements, valueType: .f16) {
            let expected = matrix.product(of: input, tokens: tokens, kernels: nil)
            for kernels in Kernels.underTest {
                let error = largestDifference(matrix.product(of: input, tokens: tokens, kernels: kernels), expected)
                #expect(error <= Self.tolerance(columns: columns), "\(kernels.instructionSet) \(matrix.format)")
            }
        }
    }

    @Test func keepsFloat32Weights() {
        let (rows, columns, tokens) = (37, 130, 9)
        let weights = Storage(randomActivations(rows * columns, seed: 5))
        let matrix = PackedMatrix.dense(
            DenseMatrix(rows: rows, columns: columns, element: .f32, bytes: weights.bytes))
        let input = randomActivations(tokens * columns, seed: 6)
        let expected = matrix.product(of: input, tokens: tokens, kernels: nil)
        for kernels in Kernels.underTest {
            let error = largestDifference(matrix.product(of: input, tokens: tokens, kernels: kernels), expected)
            #expect(error <= Self.tolerance(columns: columns), "\(kernels.instructionSet)")
        }
    }

    /// However rows are dealt out to threads, every output is the same to the last bit, and nothing else is written.
    @Test func doesNotDependOnTheSplitOfRows() throws {
        let (rows, columns, tokens) = (300, 200, 3)
        let elements = randomMatrix(rows: rows, columns: columns, density: 0.4, valueType: .f16, seed: 8)
        let input = randomActivations(tokens * columns, seed: 9)
        for matrix in try everyFormat(rows: rows, columns: columns, elements: elements, valueType: .f16) {
            for kernels in Kernels.underTest {
                let whole = matrix.product(of: input, tokens: tokens, kernels: kernels)
                for first in stride(from: 0, to: rows, by: matrix.rowGranularity) {
                    let range = first..<min(first + matrix.rowGranularity, rows)
                    let part = matrix.product(of: input, tokens: tokens, kernels: kernels, rows: range)
                    for token in 0..<tokens {
                        for row in 0..<rows {
                            let value = part[token * rows + row]
                            if range.contains(row) {
                                #expect(value == whole[token * rows + row])
                            } else {
                                #expect(value.isNaN)
                            }
                        }
                    }
                }
            }
        }
    }

    /// Shapes beyond what is listed at once: more than 256 rows, and panels with more than 65,536 stored weights.
    @Test(arguments: shapes + [(300, 300), (70, 2100), (33, 9000)])
    func skipsZerosLikeTheReference(shape: (rows: Int, columns: Int)) throws {
        for (index, density) in [0, 0.1, 0.5, 1].enumerated() {
            let valueType: ElementType = index % 2 == 0 ? .f16 : .bf16
            let elements = randomMatrix(
                rows: shape.rows, columns: shape.columns, density: density, valueType: valueType, seed: UInt64(index))
            let matrix = PackedMatrix.tiledBitmap(
                try TiledBitmap(
                    rows: shape.rows, columns: shape.columns, elements: elements, valueType: valueType))
            let tokens = Self.tokenCounts[(index * 5 + shape.rows) % Self.tokenCounts.count]
            let input = randomActivations(tokens * shape.columns, seed: 7)
            let expected = matrix.product(of: input, tokens: tokens, kernels: nil)
            for kernels in Kernels.underTest {
                let found = matrix.product(of: input, tokens: tokens, kernels: kernels, byColumns: true)
                let error = largestDifference(found, expected)
                #expect(
                    error <= Self.tolerance(columns: shape.columns),
                    "\(kernels.instructionSet) \(valueType) \(tokens) tokens at \(density)")
            }
        }
    }

    @Test func skippingZerosDoesNotDependOnTheSplitOfRows() throws {
        let (rows, columns, tokens) = (300, 200, 70)
        let elements = randomMatrix(rows: rows, columns: columns, density: 0.4, valueType: .f16, seed: 8)
        let input = randomActivations(tokens * columns, seed: 9)
        let matrix = PackedMatrix.tiledBitmap(
            try TiledBitmap(rows: rows, columns: columns, elements: elements, valueType: .f16))
        for kernels in Kernels.underTest {
            let whole = matrix.product(of: input, tokens: tokens, kernels: kernels, byColumns: true)
            for range in [0..<32, 32..<160, 160..<300] {
                let part = matrix.product(
                    of: input, tokens: tokens, kernels: kernels, rows: range, byColumns: true)
                for token in 0..<tokens {
                    for row in 0..<rows {
                        let value = part[token * rows + row]
                        #expect(range.contains(row) ? value == whole[token * rows + row] : value.isNaN)
                    }
                }
            }
        }
    }

    @Test func skippingZerosPaysForManyTokensOfSparseMatrices() throws {
        for (density, tokens, pays) in [
            (0.2, 512, true), (0.9, 512, false), (0.2, 1, false), (0.2, 16, false), (0, 1, false),
        ] {
            let elements = randomMatrix(rows: 64, columns: 64, density: density, valueType: .f16, seed: 1)
            let bitmap = try TiledBitmap(rows: 64, columns: 64, elements: elements, valueType: .f16)
            #expect(PackedMatrix.tiledBitmap(bitmap).prefersTransposedInput(tokens: tokens, kernels: .best) == pays)
        }
    }
}

import KernelsUnderTest
import Sparse
import Tensors
import Testing

@Suite struct QuantizedProductTests {
    static let shapes = [
        (1, 1), (3, 5), (15, 31), (16, 64), (17, 33), (33, 130), (48, 128), (50, 255), (40, 576), (18, 1100),
    ]
    static let tokenCounts = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 17, 30]

    /// Integer sums are exact, so that only the float32 additions of the groups are off; `magnitudes` are the sums of
    /// the groups' magnitudes.
    private static func expectClose(
        _ found: [Float], _ expected: [Float], magnitudes: [Float], _ comment: @autoclosure () -> Comment
    ) {
        #expect(found.count == expected.count && found.count == magnitudes.count)
        for (index, (x, y)) in zip(found, expected).enumerated() {
            if abs(x - y) <= 1e-5 * magnitudes[index] + 1e-30 { continue }
            Issue.record("\(x), expected \(y): \(comment())")
            return
        }
    }

    /// For each output the sum of |weight * activation|: what float32 roundings are relative to.
    private static func magnitudes(_ matrix: QuantizedMatrix, _ input: [Float], tokens: Int) -> [Float] {
        let weights = Storage(matrix.dequantized().map(abs))
        let dense = DenseMatrix(rows: matrix.rows, columns: matrix.columns, element: .f32, bytes: weights.bytes)
        return PackedMatrix.dense(dense).product(of: input.map(abs), tokens: tokens, kernels: nil)
    }

    @Test(arguments: shapes) func matchesTheIntegerReference(shape: (rows: Int, columns: Int)) throws {
        for (index, density) in [0, 0.1, 0.5, 0.9, 1].enumerated() {
            let elements = randomMatrix(
                rows: shape.rows, columns: shape.columns, density: density, valueType: .f16, seed: UInt64(index))
            for (variant, matrix) in try everyQuantization(
                rows: shape.rows, columns: shape.columns, elements: elements
            ).enumerated() {
                let tokens = Self.tokenCounts[(index * 5 + variant * 7 + shape.rows) % Self.tokenCounts.count]
                let input = randomActivations(tokens * shape.columns, seed: 7)
                let packed = PackedMatrix.quantized(matrix)
                let expected = packed.product(of: input, tokens: tokens, kernels: nil)
                let magnitudes = Self.magnitudes(matrix, input, tokens: tokens)
                for kernels in Kernels.underTest {
                    let found = packed.product(of: input, tokens: tokens, kernels: kernels)
                    Self.expectClose(
                        found, expected, magnitudes: magnitudes,
                        "\(kernels.instructionSet) \(matrix.coding) \(matrix.group) \(matrix.positions) \(tokens)")
                }
            }
        }
    }

    /// The whole way from float32 weights and activations: the error is that of the two quantisations.
    @Test(arguments: QuantizedCoding.allCases) func isCloseToTheExactProduct(coding: QuantizedCoding) throws {
        let (rows, columns, tokens) = (64, 512, 5)
        let weights = randomActivations(rows * columns, seed: 1)
        let dense = DenseMatrix(rows: rows, columns: columns, element: .f32, bytes: Storage(weights).bytes)
        let input = randomActivations(tokens * columns, seed: 2)
        let expected = PackedMatrix.dense(dense).product(of: input, tokens: tokens, kernels: nil)
        let norm = expected.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for group in ScaleGroup.allCases {
            let matrix = PackedMatrix.quantized(try QuantizedMatrix(dense, coding: coding, group: group))
            let found = matrix.product(of: input, tokens: tokens, kernels: .best)
            let error = zip(found, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
            // Uniform random numbers: a step of s gives a relative error of s / 2; 2^-11 and 2^-7 for activations.
            let limit: Float = coding == .i16 ? 1e-3 : coding == .i8 ? 1.2e-2 : 0.13
            #expect(error <= limit * norm, "\(group): \(error / norm)")
        }
    }

    /// One token's outputs are the same to the last bit, however many others there are and however rows are dealt out.
    @Test func dependsOnRowAndTokenAlone() throws {
        let (rows, columns) = (75, 700)
        let elements = randomMatrix(rows: rows, columns: columns, density: 0.5, valueType: .f16, seed: 8)
        let input = randomActivations(30 * columns, seed: 9)
        for matrix in try everyQuantization(rows: rows, columns: columns, elements: elements) {
            let matrix = PackedMatrix.quantized(matrix)
            for kernels in Kernels.underTest {
                let whole = matrix.product(of: input, tokens: 30, kernels: kernels)
                for tokens in Self.tokenCounts {
                    let found = matrix.product(of: input, tokens: tokens, kernels: kernels)
                    #expect(found == Array(whole[..<(tokens * rows)]), "\(kernels.instructionSet) \(tokens) tokens")
                }
                var joined = [Float](repeating: .nan, count: 30 * rows)
                for range in [0..<16, 16..<64, 64..<75] {
                    let part = matrix.product(of: input, tokens: 30, kernels: kernels, rows: range)
                    for index in part.indices where range.contains(index % rows) { joined[index] = part[index] }
                    #expect(part.count(where: \.isNaN) == 30 * (rows - range.count))
                }
                #expect(joined == whole, "\(kernels.instructionSet)")
            }
        }
    }

    @Test func spreadsWhatIsNotFiniteAndKeepsZeros() throws {
        let (rows, columns, tokens) = (20, 200, 11)
        let elements = randomMatrix(rows: rows, columns: columns, density: 0.9, valueType: .f16, seed: 10)
        for matrix in try everyQuantization(rows: rows, columns: columns, elements: elements) {
            let matrix = PackedMatrix.quantized(matrix)
            for kernels in Kernels.underTest {
                for (place, value) in [(0, Float.nan), (77, .infinity), (199, -.infinity)] {
                    var input = randomActivations(tokens * columns, seed: 11)
                    input[4 * columns + place] = value
                    for column in 0..<columns { input[7 * columns + column] = 0 }
                    let found = matrix.product(of: input, tokens: tokens, kernels: kernels)
                    for (token, first) in stride(from: 0, to: found.count, by: rows).enumerated() {
                        let outputs = found[first..<first + rows]
                        #expect(outputs.count(where: \.isNaN) == (token == 4 ? rows : 0), "\(kernels.instructionSet)")
                        if token == 7 { #expect(outputs.allSatisfy { $0 == 0 }) }
                    }
                }
            }
        }
    }
}

import KernelsUnderTest
import LinearAlgebra
import Sparse
import Tensors
import TestSupport
import Testing

/// Products and factors against double precision, at sizes around those of blocks and tasks.
@Suite struct LinearAlgebraTests {
    static let sizes = [1, 2, 31, 95, 96, 97, 130, 257]

    private func arithmetic(threads: Int = 2) -> Arithmetic { Arithmetic(pool: WorkerPool(threadCount: threads)) }

    private static func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        var generator = SplitMix64(seed: seed)
        return Matrix(
            rows: rows, columns: columns, (0..<rows * columns).map { _ in Float.random(in: -1...1, using: &generator) })
    }

    /// `left[i, k] * right[j, k]`, summed up in double precision.
    private static func product(_ left: Matrix, _ right: Matrix) -> [[Double]] {
        (0..<left.rows).map { i in
            (0..<right.rows).map { j in
                (0..<left.columns).reduce(0.0) { $0 + Double(left[i, $1]) * Double(right[j, $1]) }
            }
        }
    }

    private static func worst(_ found: Matrix, _ expected: [[Double]]) -> Double {
        var worst = 0.0
        for i in 0..<found.rows {
            for j in 0..<found.columns {
                let error = abs(Double(found[i, j]) - expected[i][j])
                if !(error <= worst) { worst = error }
            }
        }
        return worst
    }

    /// Well conditioned: more vectors than they have elements, and a share of the identity.
    private static func positiveDefinite(_ size: Int, arithmetic: Arithmetic) -> Matrix {
        let gram = Gram(width: size, arithmetic: arithmetic)
        gram.add(random(2 * size + 3, size, seed: UInt64(size)).slice)
        gram.finish()
        for i in 0..<size { gram.products[i, i] += 0.5 }
        return gram.products
    }

    @Test func multiplies() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 7), (200, 97, 33), (193, 1, 600), (1, 200, 16), (1600, 40, 9)] {
            let (left, right) = (Self.random(m, k, seed: 1), Self.random(n, k, seed: 2))
            let output = Matrix(uninitializedRows: m, columns: n)
            arithmetic().multiply(left.slice, transposed: right.slice, into: output.slice)
            #expect(Self.worst(output, Self.product(left, right)) <= 1e-5, "\(m) x \(n) x \(k)")
        }
    }

    /// Operands that bf16 holds exactly: the sums are as good as float32's.
    @Test(arguments: Kernels.underTest.indices) func multipliesInBF16(kernels: Int) {
        let kernels = Kernels.underTest[kernels]
        let arithmetic = Arithmetic(pool: WorkerPool(threadCount: 2), kernels: kernels).with(precision: .bfloat16)
        for (m, n, k) in [(1, 1, 1), (200, 97, 33), (193, 1, 600), (1600, 40, 9)] {
            let operands = [(m, k), (n, k)].map { rows, columns in
                let matrix = Self.random(rows, columns, seed: UInt64(rows))
                for index in matrix.elements.indices {
                    matrix.elements[index] = Float(bitPattern: matrix.elements[index].bitPattern & 0xFFFF_0000)
                }
                return matrix
            }
            let output = Matrix(uninitializedRows: m, columns: n)
            arithmetic.multiply(operands[0].slice, transposed: operands[1].slice, into: output.slice)
            #expect(Self.worst(output, Self.product(operands[0], operands[1])) <= 1e-5, "\(m) x \(n) x \(k)")
        }
    }

    /// Parts of matrices into parts of others, whose other elements stay.
    @Test(arguments: Kernels.underTest.indices) func transposes(kernels: Int) {
        let arithmetic = Arithmetic(pool: WorkerPool(threadCount: 2), kernels: Kernels.underTest[kernels])
        for (m, n) in [(1, 1), (16, 16), (3, 130), (130, 3), (33, 70), (64, 65), (200, 129)] {
            let input = Self.random(m + 2, n + 3, seed: UInt64(m))
            let output = Matrix(rows: n + 1, columns: m + 4, Array(repeating: -7, count: (n + 1) * (m + 4)))
            arithmetic.transpose(
                input.slice(rows: 1..<m + 1, columns: 2..<n + 2), into: output.slice(rows: 0..<n, columns: 3..<m + 3))
            for row in 0...n {
                for column in 0..<m + 4 {
                    let isInside = row < n && (3..<m + 3).contains(column)
                    #expect(output[row, column] == (isInside ? input[column - 2, row + 2] : -7))
                }
            }
        }
    }

    @Test func addsUpCrossProducts() {
        let arithmetic = arithmetic()
        let (left, right) = (Self.random(2100, 7, seed: 8), Self.random(2100, 12, seed: 9))
        let sums = CrossProducts(7, 12, arithmetic: arithmetic)
        sums.add(left.slice(rows: 0..<2080), right.slice(rows: 0..<2080))
        sums.add(left.slice(rows: 2080..<2100), right.slice(rows: 2080..<2100))
        let turned = [left, right].map { matrix in
            let columns = Matrix(uninitializedRows: matrix.columns, columns: matrix.rows)
            arithmetic.transpose(matrix.slice, into: columns.slice)
            return columns
        }
        #expect(Self.worst(sums.products, Self.product(turned[0], turned[1])) <= 1e-3)
    }

    @Test func multipliesSlices() {
        let (left, right) = (Self.random(50, 40, seed: 3), Self.random(30, 20, seed: 4))
        let output = Matrix(zeroRows: 20, columns: 70)
        arithmetic().multiply(
            left.slice(rows: 5..<25, columns: 11..<31), transposed: right.slice(rows: 2..<22),
            into: output.slice(rows: 0..<20, columns: 50..<70))
        for i in 0..<20 {
            for j in 0..<20 {
                let expected = (0..<20).reduce(0.0) {
                    $0 + Double(left[5 + i, 11 + $1]) * Double(right[2 + j, $1])
                }
                let error = abs(Double(output[i, 50 + j]) - expected)
                #expect(error <= 1e-5)
            }
            #expect((0..<50).allSatisfy { output[i, $0] == 0 })
        }
    }

    @Test(arguments: sizes) func addsUpOuterProducts(size: Int) {
        let arithmetic = arithmetic()
        let gram = Gram(width: size, arithmetic: arithmetic)
        let vectors = Self.random(70, size, seed: 5)
        gram.add(vectors.slice(rows: 0..<50))
        gram.add(vectors.slice(rows: 50..<70))
        gram.finish()
        #expect(gram.count == 70)
        let columns = Matrix(uninitializedRows: size, columns: 70)
        arithmetic.transpose(vectors.slice, into: columns.slice)
        #expect(Self.worst(gram.products, Self.product(columns, columns)) <= 1e-4)
    }

    @Test(arguments: sizes) func factors(size: Int) throws {
        let arithmetic = arithmetic()
        let matrix = Self.positiveDefinite(size, arithmetic: arithmetic)
        let cholesky = try Cholesky(of: matrix, arithmetic: arithmetic)
        let factor = cholesky.factor
        for i in 0..<size { #expect((i + 1..<max(size, i + 1)).allSatisfy { factor[i, $0] == 0 } && factor[i, i] > 0) }
        let scale = Double(matrix.elements.map(abs).max()!)
        let again = Self.product(factor, factor)
        #expect(Self.worst(matrix, again) <= 3e-6 * scale)
        // The transposed inverse times the factor's transpose is the identity.
        let inverse = Matrix(uninitializedRows: size, columns: size)
        arithmetic.transpose(cholesky.transposedInverse().slice, into: inverse.slice)
        let columns = Matrix(uninitializedRows: size, columns: size)
        arithmetic.transpose(factor.slice, into: columns.slice)
        let identity = (0..<size).map { i in (0..<size).map { $0 == i ? 1.0 : 0.0 } }
        let product = Matrix(uninitializedRows: size, columns: size)
        arithmetic.multiply(inverse.slice, transposed: columns.slice, into: product.slice)
        #expect(Self.worst(product, identity) <= 1e-4)
        let whole = Self.product(matrix, cholesky.inverse())
        let error = (0..<size).flatMap { i in (0..<size).map { abs(whole[i][$0] - identity[i][$0]) } }.max()!
        #expect(error <= 1e-3)
    }

    @Test(arguments: sizes) func factorsTheInverse(size: Int) throws {
        let arithmetic = arithmetic()
        let matrix = Self.positiveDefinite(size, arithmetic: arithmetic)
        let upper = try Cholesky.upperFactor(ofInverse: matrix, arithmetic: arithmetic)
        for i in 0..<size { #expect((0..<i).allSatisfy { upper[i, $0] == 0 } && upper[i, i] > 0) }
        let columns = Matrix(uninitializedRows: size, columns: size)
        arithmetic.transpose(upper.slice, into: columns.slice)
        let inverse = try Cholesky(of: matrix, arithmetic: arithmetic).inverse()
        let scale = Double(inverse.elements.map(abs).max()!)
        #expect(Self.worst(inverse, Self.product(columns, columns)) <= 1e-4 * max(scale, 1))
    }

    @Test func refusesWhatIsNotPositiveDefinite() {
        let arithmetic = arithmetic()
        for broken: Float in [0, -1, .nan, .infinity] {
            for row in [0, 50, 149] {
                let matrix = Self.positiveDefinite(150, arithmetic: arithmetic)
                matrix[row, row] = broken
                #expect(throws: Cholesky.NotPositiveDefinite.self) {
                    _ = try Cholesky(of: matrix, arithmetic: arithmetic)
                }
            }
        }
    }

    /// Bit by bit.
    @Test func resultsDoNotDependOnThreads() throws {
        let results = try [1, 2, 5].map { threads in
            let arithmetic = arithmetic(threads: threads)
            let matrix = Self.positiveDefinite(257, arithmetic: arithmetic)
            let factor = try Cholesky.upperFactor(ofInverse: matrix, arithmetic: arithmetic)
            return withExtendedLifetime(factor) { Array($0.elements) }
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }
}

public import LinearAlgebra

/// What a matrix's inputs were like on the calibration tokens. Matrices that read the same input share it.
public final class InputStatistics: @unchecked Sendable {
    /// How much a method wants to know of a matrix's inputs.
    public enum Kind: Int, Sendable, Comparable {
        case nothing
        /// The sum of every input's squares.
        case squares
        /// The sums of all products of two inputs.
        case products

        public static func < (left: Kind, right: Kind) -> Bool { left.rawValue < right.rawValue }
    }

    public let width: Int
    public let kind: Kind
    /// Tokens that were added.
    public private(set) var tokenCount = 0
    private let arithmetic: Arithmetic
    private let gram: Gram?
    private let drift: InputDrift?
    private var sums: [Double]
    private var factor: InverseFactor?
    private var inverse: Matrix?

    public convenience init(width: Int, kind: Kind, arithmetic: Arithmetic) {
        self.init(width: width, kind: kind, arithmetic: arithmetic, drift: nil)
    }

    init(width: Int, kind: Kind, arithmetic: Arithmetic, drift: InputDrift?) {
        self.drift = drift
        self.width = width
        self.kind = kind
        self.arithmetic = arithmetic
        gram = kind == .products ? Gram(width: width, arithmetic: arithmetic) : nil
        sums = kind == .squares ? Array(repeating: 0, count: width) : []
    }

    /// Adds the inputs of some tokens, `[tokens, width]`.
    public func add(_ inputs: MatrixSlice) {
        precondition(inputs.columns == width)
        tokenCount += inputs.rows
        gram?.add(inputs)
        if kind == .squares { addSquares(of: inputs) }
    }

    /// Moves a matrix towards what makes up for the drift of its inputs.
    /// - Throws: `PruningError` if the inputs are NaN or infinite, or too much alike.
    /// - Complexity: O(rows * width^2), and O(width^3) once.
    func compensate(_ weights: Matrix) throws(PruningError) {
        guard let drift, let inverse = try dampedInverse() else { return }
        let change = Matrix(uninitializedRows: weights.rows, columns: width)
        arithmetic.multiply(drift.lack(of: weights).slice, transposed: inverse.slice, into: change.slice)
        arithmetic.add(change.slice, to: weights.slice)
    }

    /// `(products + damping * mean of their diagonal)^-1`; nil if all inputs are zero.
    private func dampedInverse() throws(PruningError) -> Matrix? {
        if let inverse { return inverse }
        guard let products else { return nil }
        let added = Float(InputDrift.damping * (try finiteSquares()).reduce(0, +) / Double(width))
        guard added > 0 else { return nil }
        let sum = products.copy()
        for index in 0..<width { sum[index, index] += added }
        do throws(Cholesky.NotPositiveDefinite) {
            let result = try Cholesky(of: sum, arithmetic: arithmetic).inverse()
            inverse = result
            return result
        } catch {
            throw PruningError(error)
        }
    }

    private func addSquares(of inputs: MatrixSlice) {
        let columnsPerTask = 64
        sums.withUnsafeMutableBufferPointer { sums in
            let sums = sums
            arithmetic.pool.forEachChunk((width + columnsPerTask - 1) / columnsPerTask) { task, _ in
                let columns = task * columnsPerTask..<min((task + 1) * columnsPerTask, width)
                for row in 0..<inputs.rows {
                    let values = inputs.row(row)
                    for column in columns { sums[column] += Double(values[column]) * Double(values[column]) }
                }
            }
        }
    }

    /// Call it once all inputs are added.
    public func finish() { gram?.finish() }

    /// The sum of every input's squares.
    public var squares: [Double] {
        guard let products else { return sums }
        return (0..<width).map { Double(products[$0, $0]) }
    }

    /// The same, known to be numbers.
    /// - Throws: `PruningError` if an input was NaN or infinite, or its square too large.
    func finiteSquares() throws(PruningError) -> [Double] {
        let squares = squares
        guard squares.allSatisfy(\.isFinite) else {
            throw PruningError("a layer's inputs", expected: "finite numbers", found: "NaN or infinity")
        }
        return squares
    }

    /// `[width, width]`, the sums of all products of two inputs; nil unless ``kind`` is `.products`.
    public var products: Matrix? { gram?.products }

    /// What SparseGPT and OBQ call the Hessian's inverse, as its upper Cholesky factor.
    public struct InverseFactor {
        /// U with `(X^T X / tokens + damping * mean of its diagonal)^-1 = U^T U`, `[width, width]`.
        public let upper: Matrix
        /// Inputs that were always zero.
        public let dead: [Int]
        /// The share of the mean diagonal that was added: more than asked for if the matrix needed it.
        public let damping: Double
    }

    /// - Parameter damping: share of the mean square that is added to the diagonal.
    /// - Throws: `PruningError` if the inputs are NaN or infinite, or so alike that no damping below 1 helps.
    /// - Precondition: ``kind`` is `.products`.
    /// - Complexity: O(width^3), once.
    public func inverseFactor(damping: Double) throws(PruningError) -> InverseFactor {
        if let factor, factor.damping >= damping { return factor }
        guard let products else { preconditionFailure("the statistics hold no products") }
        let (count, squares) = (Double(max(tokenCount, 1)), try finiteSquares())
        let dead = squares.indices.filter { squares[$0] == 0 }
        let mean = (squares.reduce(0, +) / count + Double(dead.count)) / Double(width)
        var share = damping
        while true {
            let matrix = products.copy()
            for element in matrix.elements.indices { matrix.elements[element] *= Float(1 / count) }
            for index in dead { matrix[index, index] = 1 }
            for index in 0..<width { matrix[index, index] += Float(share * mean) }
            do throws(Cholesky.NotPositiveDefinite) {
                let upper = try Cholesky.upperFactor(ofInverse: matrix, arithmetic: arithmetic)
                let result = InverseFactor(upper: upper, dead: dead, damping: share)
                factor = result
                return result
            } catch {
                share = max(share, 1e-4) * 10
                guard share < 1 else { throw PruningError(error) }
            }
        }
    }

    /// The squared change of the output that a changed matrix makes, as a share of the output's own square.
    /// - Precondition: ``kind`` is `.products`.
    /// - Complexity: O(rows * width^2).
    func relativeError(of changed: Matrix, from weights: Matrix) -> Double {
        let difference = weights.copy()
        arithmetic.add(changed.slice, times: -1, to: difference.slice)
        let whole = energy(of: weights)
        return whole > 0 ? energy(of: difference) / whole : 0
    }

    /// The square of the output, summed over tokens and rows: the trace of `W X^T X W^T`.
    private func energy(of weights: Matrix) -> Double {
        guard let products else { preconditionFailure("the statistics hold no products") }
        let images = Matrix(uninitializedRows: weights.rows, columns: width)
        arithmetic.multiply(weights.slice, transposed: products.slice, into: images.slice)
        var sum = 0.0
        for row in 0..<weights.rows {
            let (left, right) = (weights.slice.row(row), images.slice.row(row))
            var rowSum = 0.0
            for column in 0..<width { rowSum += Double(left[column]) * Double(right[column]) }
            sum += rowSum
        }
        return sum
    }
}

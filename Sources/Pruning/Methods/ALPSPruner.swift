public import LinearAlgebra

/// Searches for the zeros and for the other weights at once: the weights that keep the layer's output and the nearest
/// weights that have the zeros are pulled together, harder and harder (ADMM), until they have the same zeros. Then the
/// other weights are fitted to the output with the zeros fixed (conjugate gradients).
///
/// Inputs are scaled to norm 1, so that a weight's size is what it does to the output. By default the zeros may be
/// anywhere in the matrix.
/// Source: Meng, Behdin, Wang, Mazumder, "ALPS: Improved Optimization for Highly Sparse One-Shot Pruning for Large
/// Language Models", NeurIPS 2024, arXiv:2406.07831.
public struct ALPSPruner: Pruner {
    /// Share of the mean square of the inputs that is added to every input's.
    public var damping = 0.01
    /// How hard the two are pulled together at first, in units of an input's square.
    public var firstPenalty = 0.1
    /// Steps from one look at the zeros to the next.
    public var stepsPerLook = 3
    public var maximumSteps = 300
    /// Steps of the final fit.
    public var fittingSteps = 10

    public init() {}

    public var needs: InputStatistics.Kind { .products }

    /// - Complexity: O(looks * columns^3 + steps * rows * columns^2), some dozen steps.
    public func prune(
        _ weights: Matrix, inputs: InputStatistics?, target: PruningTarget, arithmetic: Arithmetic
    ) throws(PruningError) {
        guard let inputs, let products = inputs.products, inputs.width == weights.columns else {
            preconditionFailure("ALPS got no products of \(weights.columns) inputs")
        }
        let target = target.resolved(.matrix)
        let problem = try ScaledProblem(
            weights, inputs: inputs, products: products, damping: damping, arithmetic: arithmetic)
        guard let problem else {
            // All inputs are zero: nothing that the weights do can be seen.
            let copy = weights.copy()
            return target.project(copy.slice, into: weights.slice, arithmetic: arithmetic)
        }
        let found = try search(problem, target)
        problem.fit(found, steps: fittingSteps)
        problem.store(found, in: weights)
    }

    /// Weights with the zeros that are asked for, in the problem's scale.
    private func search(_ problem: ScaledProblem, _ target: PruningTarget) throws(PruningError) -> Matrix {
        let arithmetic = problem.arithmetic
        let (rows, columns) = (problem.weights.rows, problem.weights.columns)
        // Those that keep the output, those that have the zeros, and what pulls them together.
        let found = Matrix(uninitializedRows: rows, columns: columns)
        let (free, sparse) = (problem.weights.copy().slice, found.slice)
        let pull = Matrix(zeroRows: rows, columns: columns).slice
        let pulled = Matrix(uninitializedRows: rows, columns: columns).slice
        let images = problem.images.slice
        target.project(free, into: sparse, arithmetic: arithmetic)
        var penalty = Float(firstPenalty)
        var inverse = try problem.inverse(penalty: penalty)
        let before = found.copy().slice
        for step in 1...maximumSteps {
            arithmetic.forEachRow(of: pulled) { row in
                let (image, pull, sparse, sum) = (images.row(row), pull.row(row), sparse.row(row), pulled.row(row))
                for column in 0..<columns { sum[column] = image[column] - pull[column] + penalty * sparse[column] }
            }
            arithmetic.multiply(pulled, transposed: inverse.slice, into: free)
            arithmetic.forEachRow(of: pulled) { row in
                let (free, pull, sum) = (free.row(row), pull.row(row), pulled.row(row))
                for column in 0..<columns { sum[column] = free[column] + pull[column] / penalty }
            }
            target.project(pulled, into: sparse, arithmetic: arithmetic)
            arithmetic.forEachRow(of: pull) { row in
                let (sparse, pull, sum) = (sparse.row(row), pull.row(row), pulled.row(row))
                for column in 0..<columns { pull[column] = penalty * (sum[column] - sparse[column]) }
            }
            guard step % stepsPerLook == 0 else { continue }
            let change = Self.changedPlaces(before, sparse, arithmetic: arithmetic)
            let share = Double(change) / Double(max(rows * columns - target.zeroCount(of: rows * columns), 1))
            if change == 0 || (step > 30 && share < 0.0003) { break }
            arithmetic.copy(sparse, into: before)
            penalty *= share > 0.1 ? 1.3 : share > 0.005 ? 1.2 : 1.1
            inverse = try problem.inverse(penalty: penalty)
        }
        target.project(free, into: sparse, arithmetic: arithmetic)
        return found
    }

    /// Elements that are zero in just one of two matrices.
    private static func changedPlaces(_ left: MatrixSlice, _ right: MatrixSlice, arithmetic: Arithmetic) -> Int {
        let counts = Matrix(uninitializedRows: left.rows, columns: 1)
        arithmetic.forEachRow(of: left) { row in
            let (a, b) = (left.row(row), right.row(row))
            var count: Int32 = 0
            for column in 0..<left.columns { count &+= (a[column] == 0) != (b[column] == 0) ? 1 : 0 }
            counts.pointer[row] = Float(count)
        }
        return (0..<left.rows).reduce(0) { $0 + Int(counts[$1, 0]) }
    }
}

/// Fitting weights to a layer's output, with inputs scaled to norm 1: `min |(X - W) P (X - W)^T|`, where P has ones on
/// its diagonal.
struct ScaledProblem {
    /// `[rows, columns]`
    let weights: Matrix
    /// `[columns, columns]`
    let products: Matrix
    /// `weights * products`
    let images: Matrix
    let arithmetic: Arithmetic
    /// The norm of each input.
    private let norms: [Float]

    /// nil if all inputs are zero.
    /// - Throws: `PruningError` for inputs that are NaN or infinite.
    init?(
        _ weights: Matrix, inputs: InputStatistics, products: Matrix, damping: Double, arithmetic: Arithmetic
    ) throws(PruningError) {
        let (size, squares) = (products.rows, try inputs.finiteSquares())
        let added = damping * squares.reduce(0, +) / Double(size)
        guard added > 0 else { return nil }
        let norms = squares.map { Float(($0 + added).squareRoot()) }
        let scaled = Matrix(uninitializedRows: size, columns: size)
        let (from, to) = (products.slice, scaled.slice)
        arithmetic.forEachRow(of: to) { row in
            for column in 0..<size { to.row(row)[column] = from.row(row)[column] / norms[row] / norms[column] }
            to.row(row)[row] = 1
        }
        self.weights = weights.copy()
        let slice = self.weights.slice
        arithmetic.forEachRow(of: slice) { row in
            for column in 0..<size { slice.row(row)[column] *= norms[column] }
        }
        self.products = scaled
        self.norms = norms
        self.arithmetic = arithmetic
        images = Matrix(uninitializedRows: weights.rows, columns: size)
        arithmetic.multiply(slice, transposed: scaled.slice, into: images.slice)
    }

    /// `(products + penalty)^-1`
    func inverse(penalty: Float) throws(PruningError) -> Matrix {
        let sum = products.copy()
        for index in 0..<sum.rows { sum[index, index] += penalty }
        do throws(Cholesky.NotPositiveDefinite) {
            return try Cholesky(of: sum, arithmetic: arithmetic).inverse()
        } catch {
            throw PruningError(error)
        }
    }

    /// Moves the weights that are not zero so that the output is kept best, each row by itself, by conjugate gradients.
    /// - Complexity: O(steps * rows * columns^2).
    func fit(_ found: Matrix, steps: Int) {
        let (rows, columns) = (found.rows, found.columns)
        func matrix() -> Matrix { Matrix(uninitializedRows: rows, columns: columns) }
        let (residual, direction, image, mask) = (matrix(), matrix(), matrix(), matrix())
        let squares = Matrix(uninitializedRows: rows, columns: 1)
        arithmetic.multiply(found.slice, transposed: products.slice, into: image.slice)
        let (x, r, p, q, m) = (found.slice, residual.slice, direction.slice, image.slice, mask.slice)
        let goal = images.slice
        arithmetic.forEachRow(of: r) { row in
            var square: Float = 0
            for column in 0..<columns {
                m.row(row)[column] = x.row(row)[column] == 0 ? 0 : 1
                let rest = m.row(row)[column] * (goal.row(row)[column] - q.row(row)[column])
                r.row(row)[column] = rest
                p.row(row)[column] = rest
                square += rest * rest
            }
            squares.pointer[row] = square
        }
        for _ in 0..<steps {
            arithmetic.multiply(direction.slice, transposed: products.slice, into: image.slice)
            arithmetic.forEachRow(of: r) { row in
                let (x, r, p, q, m) = (x.row(row), r.row(row), p.row(row), q.row(row), m.row(row))
                var curvature: Float = 0
                for column in 0..<columns {
                    q[column] *= m[column]
                    curvature += p[column] * q[column]
                }
                let square = squares.pointer[row]
                // Nothing is left to gain, to rounding.
                guard curvature > 0, square > 0 else { return }
                let step = square / curvature
                var next: Float = 0
                for column in 0..<columns {
                    x[column] += step * p[column]
                    r[column] -= step * q[column]
                    next += r[column] * r[column]
                }
                let turn = next / square
                for column in 0..<columns { p[column] = r[column] + turn * p[column] }
                squares.pointer[row] = next
            }
        }
    }

    /// Puts weights of this scale into a matrix of the model's.
    func store(_ found: Matrix, in weights: Matrix) {
        let (from, to) = (found.slice, weights.slice)
        arithmetic.forEachRow(of: to) { row in
            for column in 0..<to.columns { to.row(row)[column] = from.row(row)[column] / norms[column] }
        }
    }
}

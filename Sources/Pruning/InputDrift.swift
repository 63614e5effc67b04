import LinearAlgebra

/// How the inputs of a matrix have moved away from the dense model's because of what was pruned before it, as far as
/// the matrix can make up for that.
///
/// With inputs x, of the dense model x', a matrix W is to give W x'; if it adds to the residual stream, with what that
/// stream lacks besides. The nearest that a matrix comes to this is `W + D (X + damping)^-1`, where X is the sum of
/// x x^T and D that of `(W (x' - x) + lack) x^T`.
///
/// Source: Li et al., "GPTAQ: Efficient Finetuning-Free Quantization for Asymmetric Calibration", arXiv:2504.02692;
/// what the residual stream lacks, and to go a share of the way, are ours.
final class InputDrift {
    /// Share of the mean square of the inputs that is added to every input's.
    static let damping = 0.01

    private let share: Float
    private let arithmetic: Arithmetic
    /// The sum of `x (x' - x)^T`.
    private let inputs: CrossProducts
    /// The sum of `lack x^T`; nil for a matrix that does not add to the residual stream.
    private let stream: CrossProducts?

    /// - Parameters:
    ///   - streamWidth: of the residual stream that the matrix adds to; nil if it does not.
    ///   - share: how far to go, 0...1.
    init(width: Int, streamWidth: Int?, share: Double, arithmetic: Arithmetic) {
        self.share = Float(share)
        self.arithmetic = arithmetic
        inputs = CrossProducts(width, width, arithmetic: arithmetic)
        stream = streamWidth.map { CrossProducts($0, width, arithmetic: arithmetic) }
    }

    /// Adds some tokens' inputs, `[tokens, width]`, and the residual streams before the matrix adds to them.
    func add(_ input: MatrixSlice, dense: MatrixSlice, stream: MatrixSlice, denseStream: MatrixSlice) {
        inputs.add(input, difference(dense, input).slice)
        self.stream?.add(difference(denseStream, stream).slice, input)
    }

    private func difference(_ left: MatrixSlice, _ right: MatrixSlice) -> Matrix {
        let result = Matrix(uninitializedRows: left.rows, columns: left.columns)
        arithmetic.copy(left, into: result.slice)
        arithmetic.add(right, times: -1, to: result.slice)
        return result
    }

    /// D times the share, of the shape of `weights`.
    func lack(of weights: Matrix) -> Matrix {
        let product = Matrix(uninitializedRows: weights.rows, columns: weights.columns)
        arithmetic.multiply(weights.slice, transposed: inputs.products.slice, into: product.slice)
        let result = Matrix(zeroRows: weights.rows, columns: weights.columns)
        arithmetic.add(product.slice, times: share, to: result.slice)
        if let stream { arithmetic.add(stream.products.slice, times: share, to: result.slice) }
        return result
    }
}

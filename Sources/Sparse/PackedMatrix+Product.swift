import CKernels

/// Where a product reads its activations and writes its results; all float32, row-major. Owns nothing.
///
/// ``PreparedInput`` makes these with the forms that a matrix reads.
public struct Operands {
    /// `[tokens, columns]`, rows `inputStride` elements apart.
    public var input: UnsafePointer<Float>
    public var inputStride: Int
    /// `[tokens, rows]`, rows `outputStride` elements apart.
    public var output: UnsafeMutablePointer<Float>
    public var outputStride: Int
    public var tokens: Int
    /// ``Kernels/scratchByteCount`` bytes, aligned to 64, that no other thread uses meanwhile.
    public var scratch: UnsafeMutableRawPointer
    /// The same activations in the ``PackedMatrix/activationForm`` of a quantised matrix, which reads nothing else;
    /// other matrices ignore them.
    public var quantized: QuantizedInput?
    /// The input by columns, as ``Kernels/transpose(_:inputStride:tokens:columns:into:)`` writes it, for matrices that
    /// skip their zeros; nil if there is none.
    public var transposed: UnsafePointer<Float>?

    public init(
        input: UnsafePointer<Float>, inputStride: Int, output: UnsafeMutablePointer<Float>, outputStride: Int,
        tokens: Int, scratch: UnsafeMutableRawPointer, quantized: QuantizedInput? = nil,
        transposed: UnsafePointer<Float>? = nil
    ) {
        self.input = input
        self.inputStride = inputStride
        self.output = output
        self.outputStride = outputStride
        self.tokens = tokens
        self.scratch = scratch
        self.quantized = quantized
        self.transposed = transposed
    }

    /// The same with the scratch memory of one of several threads, which follow each other from this one's on.
    public func ofThread(_ thread: Int) -> Operands {
        var own = self
        own.scratch += thread * Kernels.scratchByteCount
        return own
    }

    /// The activations in the form that a quantised matrix takes.
    func quantizedInput(for matrix: MatrixView) -> flash_quantized_input {
        guard let form = matrix.activationForm, let quantized else {
            preconditionFailure("quantised weights got no quantised activations")
        }
        precondition(quantized.form == form, "activations are \(quantized.form), expected \(form)")
        precondition(
            quantized.columns == matrix.columns && quantized.tokens >= tokens,
            "\(quantized.tokens) x \(quantized.columns) activations, expected \(tokens) x \(matrix.columns)")
        return quantized.kernelInput
    }

    var kernelOperands: flash_operands {
        flash_operands(
            input: input, input_stride: Int64(inputStride), output: output, output_stride: Int64(outputStride),
            tokens: Int64(tokens), scratch: scratch, transposed: transposed)
    }
}

extension PackedMatrix {
    /// Whether products can skip the matrix's zeros if there are enough tokens.
    var canSkipZeros: Bool { if case .tiledBitmap = self { true } else { false } }

    /// Whether a product with so many tokens is faster by skipping zeros, which wants its input by columns.
    public func prefersTransposedInput(tokens: Int, kernels: Kernels) -> Bool {
        view.prefersTransposedInput(tokens: tokens, kernels: kernels)
    }

    /// Sparse weights times a batch; see ``MatrixView/multiply(rows:_:kernels:)``.
    public func multiply(rows rowRange: Range<Int>, _ operands: Operands, kernels: Kernels) {
        withExtendedLifetime(self) { view.multiply(rows: rowRange, operands, kernels: kernels) }
    }

    /// The same product for all rows in double precision, one output at a time: the ground truth of the tests.
    public func multiplyReference(_ operands: Operands) {
        withExtendedLifetime(self) { view.multiplyReference(operands) }
    }
}

import CKernels

/// Where a product reads its activations and writes its results; all float32, row-major.
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
    public var quantized: QuantizedActivations?
    /// The input by columns, as ``Kernels/transpose(_:inputStride:tokens:columns:into:)`` writes it, for matrices that
    /// skip their zeros; nil if there is none.
    public var transposed: UnsafePointer<Float>?

    public init(
        input: UnsafePointer<Float>, inputStride: Int, output: UnsafeMutablePointer<Float>, outputStride: Int,
        tokens: Int, scratch: UnsafeMutableRawPointer, quantized: QuantizedActivations? = nil,
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

    /// The activations in the form that `matrix` takes.
    fileprivate func quantized(for matrix: QuantizedMatrix) -> QuantizedActivations {
        let form = matrix.activationForm
        guard let quantized else {
            preconditionFailure("\(matrix.coding) weights got no quantised activations, expected \(form)")
        }
        precondition(quantized.form == form, "activations are \(quantized.form), expected \(form)")
        precondition(
            quantized.columns == matrix.columns && quantized.tokens >= tokens,
            "\(quantized.tokens) x \(quantized.columns) activations, expected \(tokens) x \(matrix.columns)")
        return quantized
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
    ///
    /// In cycles per weight, with v vectors of tokens: a stored weight takes 6 to decode and 3.7 for each four vectors,
    /// while expansion multiplies every weight at two vectors a cycle, 90 % of the time (measured on AVX2, Zen 4).
    /// Reading the bits costs every weight, stored or not, about as much as expansion needs for one vector: with 16
    /// tokens of AVX2, expansion (1.5 Gweights/s) was faster at 87 and 90 % zeros (1.0 and 1.2), slower at 95 % (1.6).
    public func prefersTransposedInput(tokens: Int, kernels: Kernels) -> Bool {
        guard case .tiledBitmap(let matrix) = self else { return false }
        let density = Double(matrix.nonzeroCount) / Double(rows * columns)
        let vectors = Double(tokens * 4) / Double(kernels.transposedBlockTokens)
        return density * (6 + 0.93 * vectors.rounded(.up)) < 0.55 * (vectors - 1)
    }

    /// Sparse weights times a batch: `output[t, r] = sum over k of weights[r, k] * input[t, k]` for `r` in `rowRange`.
    ///
    /// Accumulates in Float32 in an order that depends on the shapes alone, so the result does not depend on how rows
    /// are spread over threads. Allocates nothing. The one place where products are dispatched by format.
    /// - Precondition: `rowRange` lies within the matrix and begins at a multiple of ``rowGranularity``; it ends at one
    ///   or with the last row. The operands have the matrix's columns and room for its rows.
    ///   A quantised matrix finds the activations in its form in ``Operands/quantized``.
    /// - Complexity: O(stored elements x tokens).
    public func multiply(rows rowRange: Range<Int>, _ operands: Operands, kernels: Kernels) {
        precondition(rowRange.lowerBound >= 0 && rowRange.upperBound <= rows)
        precondition(rowRange.lowerBound % rowGranularity == 0)
        precondition(rowRange.upperBound % rowGranularity == 0 || rowRange.upperBound == rows)
        precondition(operands.inputStride >= columns || operands.tokens <= 1)
        precondition(operands.outputStride >= rows || operands.tokens <= 1)
        var native = operands.kernelOperands
        let first = Int64(rowRange.lowerBound)
        let end = Int64(rowRange.upperBound)
        switch self {
        case .dense(let matrix):
            matrix.withKernelMatrix { kernels.table.product_dense($0, first, end, &native) }
        case .slicedEllpack(let matrix):
            matrix.withKernelMatrix { kernels.table.product_sliced_ellpack($0, first, end, &native) }
        case .tiledCSL(let matrix):
            matrix.withKernelMatrix { kernels.table.product_tiled_csl($0, first, end, &native) }
        case .tiledBitmap(let matrix):
            matrix.withKernelMatrix { kernels.table.product_tiled_bitmap($0, first, end, &native) }
        case .quantized(let matrix):
            let activations = operands.quantized(for: matrix)
            matrix.withKernelMatrix { weights in
                activations.withKernelInput { input in
                    kernels.table.product_quantized(
                        weights, first, end, input, operands.output, Int64(operands.outputStride),
                        Int64(operands.tokens), operands.scratch)
                }
            }
        }
    }

    /// The same product for all rows in double precision, one output at a time: the ground truth of the tests.
    public func multiplyReference(_ operands: Operands) {
        var native = operands.kernelOperands
        switch self {
        case .dense(let matrix): matrix.withKernelMatrix { flash_reference_dense($0, &native) }
        case .tiledCSL(let matrix): matrix.withKernelMatrix { flash_reference_tiled_csl($0, &native) }
        case .tiledBitmap(let matrix): matrix.withKernelMatrix { flash_reference_tiled_bitmap($0, &native) }
        case .slicedEllpack(let matrix): matrix.withKernelMatrix { flash_reference_sliced_ellpack($0, &native) }
        case .quantized(let matrix):
            let activations = operands.quantized(for: matrix)
            matrix.withKernelMatrix { weights in
                activations.withKernelInput { input in
                    flash_reference_quantized(
                        weights, input, operands.output, Int64(operands.outputStride), Int64(operands.tokens))
                }
            }
        }
    }
}

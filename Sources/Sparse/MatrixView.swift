import CKernels

/// A packed matrix as kernels see it: a shape and addresses. It owns nothing and is copied like a number.
///
/// The token loop takes every matrix many times a token, on all threads. Were each of them to count its references to
/// the matrix's arrays, the counts would go to and fro between processors. Whoever uses a view keeps the matrix alive
/// meanwhile.
public struct MatrixView: @unchecked Sendable {
    private enum Weights {
        case dense(flash_dense)
        case tiledCSL(flash_tiled_csl)
        case tiledBitmap(flash_tiled_bitmap)
        case slicedEllpack(flash_sliced_ellpack)
        case quantized(flash_quantized)
    }

    private let weights: Weights
    public let rows: Int
    public let columns: Int
    /// See ``PackedMatrix/rowGranularity``.
    let rowGranularity: Int
    /// See ``PackedMatrix/activationForm``.
    let activationForm: ActivationForm?
    /// The share of elements that are stored, if products can skip the others.
    private let skippableDensity: Double?

    /// - Complexity: O(1): reads nothing of the arrays, which need not have been checked yet.
    init(of matrix: PackedMatrix) {
        rows = matrix.rows
        columns = matrix.columns
        rowGranularity = matrix.rowGranularity
        activationForm = matrix.activationForm
        var density: Double?
        switch matrix {
        case .dense(let matrix): weights = .dense(matrix.kernelMatrix)
        case .tiledCSL(let matrix): weights = .tiledCSL(matrix.kernelMatrix)
        case .slicedEllpack(let matrix): weights = .slicedEllpack(matrix.kernelMatrix)
        case .quantized(let matrix): weights = .quantized(matrix.kernelMatrix)
        case .tiledBitmap(let matrix):
            weights = .tiledBitmap(matrix.kernelMatrix)
            // Not the last panel offset: it may come from a file that is checked at the first use.
            let stored = max(matrix.values.count - TiledBitmap.valuePadding, 0)
            density = Double(stored) / Double(matrix.rows * matrix.columns)
        }
        skippableDensity = density
    }

    /// Whether a product with so many tokens is faster by skipping zeros, which wants its input by columns.
    ///
    /// In cycles per weight, with v vectors of tokens, measured on Zen 4: with AVX2 a stored weight
    /// takes 6 to decode and 0.93 for each, while expansion takes 0.55 for each and every weight; with AVX-512, whose
    /// vectors take two cycles there, 6.4, 1.4 and 1.1. Reading the bits costs every weight, stored or not, about as
    /// much as expansion needs for one: with 16 tokens of AVX2, expansion (1.5 Gweights/s) was faster at 87 and 90 %
    /// zeros (1.0 and 1.2), slower at 95 % (1.6).
    func prefersTransposedInput(tokens: Int, kernels: Kernels) -> Bool {
        guard let density = skippableDensity else { return false }
        let vectors = Double(tokens * 4) / Double(kernels.transposedBlockTokens)
        let (decoding, skipping, expanding) =
            kernels.transposedBlockTokens > 32 ? (6.4, 1.4, 1.1) : (6.0, 0.93, 0.55)
        return density * (decoding + skipping * vectors.rounded(.up)) < expanding * (vectors - 1)
    }

    /// Sparse weights times a batch: `output[t, r] = sum over k of weights[r, k] * input[t, k]` for `r` in `rowRange`.
    ///
    /// Accumulates in Float32 in an order that depends on the shapes alone, so the result does not depend on how rows
    /// are spread over threads. Allocates nothing. The one place where products are dispatched by format.
    /// - Precondition: `rowRange` lies within the matrix and begins at a multiple of its granularity; it ends at one
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
        switch weights {
        case .dense(var matrix): kernels.table.product_dense(&matrix, first, end, &native)
        case .slicedEllpack(var matrix): kernels.table.product_sliced_ellpack(&matrix, first, end, &native)
        case .tiledCSL(var matrix): kernels.table.product_tiled_csl(&matrix, first, end, &native)
        case .tiledBitmap(var matrix): kernels.table.product_tiled_bitmap(&matrix, first, end, &native)
        case .quantized(var matrix):
            var input = operands.quantizedInput(for: self)
            kernels.table.product_quantized(
                &matrix, first, end, &input, operands.output, Int64(operands.outputStride), Int64(operands.tokens),
                operands.scratch)
        }
    }

    /// The same product for all rows in double precision, one output at a time.
    func multiplyReference(_ operands: Operands) {
        var native = operands.kernelOperands
        switch weights {
        case .dense(var matrix): flash_reference_dense(&matrix, &native)
        case .tiledCSL(var matrix): flash_reference_tiled_csl(&matrix, &native)
        case .tiledBitmap(var matrix): flash_reference_tiled_bitmap(&matrix, &native)
        case .slicedEllpack(var matrix): flash_reference_sliced_ellpack(&matrix, &native)
        case .quantized(var matrix):
            var input = operands.quantizedInput(for: self)
            flash_reference_quantized(
                &matrix, &input, operands.output, Int64(operands.outputStride), Int64(operands.tokens))
        }
    }
}

extension PackedMatrix {
    /// The matrix as kernels see it; it must outlive the view.
    public var view: MatrixView { MatrixView(of: self) }
}

public import Tensors

/// The forms in which a group of matrices reads its common input, beside float32 by rows.
public struct InputForms: Sendable {
    /// Each form once.
    let quantized: [ActivationForm]
    /// Those that may skip their zeros, depending on the number of tokens.
    let skipping: [MatrixView]

    public init(of matrices: [PackedMatrix]) {
        quantized = Array(Set(matrices.compactMap(\.activationForm)))
        skipping = matrices.filter(\.canSkipZeros).map(\.view)
    }
}

/// One input of products at a time, in every form that the matrices multiplied with it read.
///
/// ``prepare(_:columns:tokens:forms:pool:)`` brings the next input into its forms, all tokens at once, before a group
/// of products; ``operands(for:output:outputStride:scratch:)`` hands each product the form that its matrix reads, and
/// stops if that was not prepared. The forms lie in memory that is allocated once:
///
///     quantised     see ``QuantizedActivations``, one for each ``ActivationForm``
///     by columns    [blocks, columns, block tokens]   Float, as ``Kernels/transpose`` writes it
///
/// Each `prepare` overwrites what it prepares. An element depends on its token alone, so results do not depend on the
/// number of threads.
public final class PreparedInput: @unchecked Sendable {
    private let kernels: Kernels
    private let quantized: [QuantizedActivations]
    /// Which of these hold the current input.
    private var isQuantized: [Bool]
    /// Empty where no matrix can skip its zeros.
    private let byColumns: AlignedBuffer<Float>
    private var isByColumns = false
    private var input: UnsafePointer<Float>?
    private var columns = 0
    private var tokens = 0

    /// - Parameters:
    ///   - matrices: all that will be multiplied with.
    ///   - kernels: those that will multiply.
    public init(for matrices: [PackedMatrix], maximumTokens: Int, kernels: Kernels) {
        self.kernels = kernels
        quantized = InputForms(of: matrices).quantized.map { form in
            let columns = matrices.filter { $0.activationForm == form }.map(\.columns).max() ?? 1
            return QuantizedActivations(form: form, maximumColumns: columns, maximumTokens: maximumTokens)
        }
        isQuantized = Array(repeating: false, count: quantized.count)
        let columns = matrices.filter(\.canSkipZeros).map(\.columns).max() ?? 0
        byColumns = AlignedBuffer(
            uninitializedCount: kernels.transposedCount(tokens: maximumTokens, columns: columns))
    }

    /// Brings an input into the forms that a group of matrices reads. Allocates nothing.
    /// - Parameters:
    ///   - input: `[tokens, columns]`, row-major; must stay as it is until the group's products are done.
    /// - Precondition: the group's matrices and so many tokens were announced.
    /// - Complexity: O(tokens * columns) for each form.
    public func prepare(
        _ input: UnsafePointer<Float>, columns: Int, tokens: Int, forms: InputForms, pool: WorkerPool
    ) {
        self.input = input
        self.columns = columns
        self.tokens = tokens
        for index in quantized.indices {
            let activations = quantized[index]
            isQuantized[index] = forms.quantized.contains(activations.form)
            guard isQuantized[index] else { continue }
            activations.begin(columns: columns, tokens: tokens)
            pool.forEachToken(
                tokens, width: columns,
                QuantizeStep(input: input, columns: columns, output: activations, kernels: kernels))
        }
        isByColumns = false
        for matrix in forms.skipping where matrix.prefersTransposedInput(tokens: tokens, kernels: kernels) {
            isByColumns = true
        }
        guard isByColumns else { return }
        precondition(kernels.transposedCount(tokens: tokens, columns: columns) <= byColumns.count)
        let block = kernels.transposedBlockTokens
        pool.run(
            TransposeLoop(
                input: input, columns: columns, tokens: tokens, output: byColumns.pointer, kernels: kernels),
            chunkCount: (tokens + block - 1) / block)
    }

    /// What a product of `matrix` with the prepared input reads and writes.
    /// - Parameters:
    ///   - output: `[tokens, rows]`, rows `outputStride` elements apart.
    ///   - scratch: ``Kernels/scratchByteCount`` bytes, aligned to 64, that no other thread uses meanwhile.
    /// - Precondition: the matrix was in the group that the input was prepared for.
    public func operands(
        for matrix: MatrixView, output: UnsafeMutablePointer<Float>, outputStride: Int,
        scratch: UnsafeMutableRawPointer
    ) -> Operands {
        guard let input, matrix.columns == columns else {
            preconditionFailure("an input of \(columns) columns for a matrix of \(matrix.columns)")
        }
        var operands = Operands(
            input: input, inputStride: columns, output: output, outputStride: outputStride, tokens: tokens,
            scratch: scratch)
        if let form = matrix.activationForm {
            for index in quantized.indices where quantized[index].form == form && isQuantized[index] {
                operands.quantized = quantized[index].view
            }
            precondition(operands.quantized != nil, "the input was not prepared as \(form)")
        } else if matrix.prefersTransposedInput(tokens: tokens, kernels: kernels) {
            precondition(isByColumns, "the input was not prepared by columns")
            operands.transposed = UnsafePointer(byColumns.pointer)
        }
        return operands
    }
}

/// One token's row of an input as integers.
private struct QuantizeStep: TokenStep {
    let input: UnsafePointer<Float>
    let columns: Int
    let output: QuantizedActivations
    let kernels: Kernels

    func run(token: Int) { output.quantize(token: token, input + token * columns, kernels: kernels) }
}

/// One block of tokens of an input by columns.
private struct TransposeLoop: ChunkedLoop {
    let input: UnsafePointer<Float>
    let columns: Int
    let tokens: Int
    let output: UnsafeMutablePointer<Float>
    let kernels: Kernels

    func run(chunk: Int, thread: Int) {
        kernels.transpose(
            block: chunk, of: input, inputStride: columns, tokens: tokens, columns: columns, into: output)
    }
}

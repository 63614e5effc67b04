import Sparse

/// A product input in every form that the matrices of a model ask for, one input at a time.
struct QuantizedInputs {
    private let inputs: [QuantizedActivations]

    /// - Parameter matrices: all that will be multiplied with.
    init(for matrices: [PackedMatrix], maximumTokens: Int) {
        let forms = Set(matrices.compactMap(\.activationForm))
        inputs = forms.map { form in
            let columns = matrices.filter { $0.activationForm == form }.map(\.columns).max() ?? 1
            return QuantizedActivations(form: form, maximumColumns: columns, maximumTokens: maximumTokens)
        }
    }

    /// Where the matrix finds its input; nil if it reads float32.
    subscript(_ matrix: PackedMatrix) -> QuantizedActivations? {
        guard let form = matrix.activationForm else { return nil }
        return self[form]
    }

    subscript(_ form: ActivationForm) -> QuantizedActivations? { inputs.first { $0.form == form } }
}

extension CPUBackend {
    /// Quantises the input of a group of products, once for all of its chunks.
    /// - Parameters:
    ///   - input: `[tokens, columns]`
    ///   - forms: those of the group's matrices.
    func quantize(_ input: UnsafePointer<Float>, columns: Int, tokens: Int, forms: [ActivationForm]) {
        for form in forms {
            guard let quantized = quantizedInputs[form] else { preconditionFailure("no room for \(form)") }
            quantized.begin(columns: columns, tokens: tokens)
            let step = QuantizeStep(input: input, columns: columns, output: quantized, kernels: kernels)
            forEachToken(tokens, width: columns, step)
        }
    }
}

/// One token's row of a product's input as integers.
private struct QuantizeStep: TokenStep {
    let input: UnsafePointer<Float>
    let columns: Int
    let output: QuantizedActivations
    let kernels: Kernels

    func run(token: Int) { output.quantize(token: token, input + token * columns, kernels: kernels) }
}

public import Sparse

/// The choices of a decoder that are one kernel or another.
extension Kernels {
    /// The activation of an MLP without a gate, in place.
    /// - Precondition: `activation` has no gate.
    public func activate(
        _ values: UnsafeMutablePointer<Float>, count: Int, by activation: ModelConfiguration.Activation
    ) {
        switch activation {
        case .relu: table.relu(values, Int64(count))
        case .gelu: table.gelu(values, Int64(count))
        case .geluTanh: table.gelu_tanh(values, Int64(count))
        case .gatedSilu: preconditionFailure("an activation with a gate")
        }
    }

    /// The norm of a row of `width` elements, around the mean if there is a bias; `output` may be `input`.
    public func normalize(
        _ input: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?, width: Int,
        epsilon: Float, into output: UnsafeMutablePointer<Float>
    ) {
        if let bias {
            table.layer_norm(input, weight, bias, Int64(width), epsilon, output)
        } else {
            table.rms_norm(input, weight, Int64(width), epsilon, output)
        }
    }
}

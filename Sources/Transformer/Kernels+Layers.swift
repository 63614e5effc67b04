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

    /// The derivatives of an activation without a gate by `values`, in their place, from those by its outputs.
    /// - Precondition: `activation` has no gate.
    public func goBackThroughActivation(
        _ values: UnsafeMutablePointer<Float>, outputGradient: UnsafePointer<Float>, count: Int,
        by activation: ModelConfiguration.Activation
    ) {
        switch activation {
        case .relu: table.relu_gradient(values, outputGradient, Int64(count))
        case .gelu: table.gelu_gradient(values, outputGradient, Int64(count))
        case .geluTanh: table.gelu_tanh_gradient(values, outputGradient, Int64(count))
        case .gatedSilu: preconditionFailure("an activation with a gate")
        }
    }

    /// Adds the derivatives of a norm by its input to `gradient`, from those by its output.
    public func goBackThroughNorm(
        of input: UnsafePointer<Float>, weight: UnsafePointer<Float>, isLayerNorm: Bool, width: Int, epsilon: Float,
        outputGradient: UnsafePointer<Float>, addingTo gradient: UnsafeMutablePointer<Float>
    ) {
        let kernel = isLayerNorm ? table.layer_norm_gradient : table.rms_norm_gradient
        kernel!(input, weight, Int64(width), epsilon, outputGradient, gradient)
    }
}

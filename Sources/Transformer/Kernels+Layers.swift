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
        case .gatedSilu, .gatedGeluTanh: preconditionFailure("an activation with a gate")
        }
    }

    /// `gate` = the activation of `gate`, times `up`.
    /// - Precondition: `activation` has a gate.
    public func activate(
        gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int,
        by activation: ModelConfiguration.Activation
    ) {
        switch activation {
        case .gatedSilu: table.silu_multiply(gate, up, Int64(count))
        case .gatedGeluTanh: table.gelu_tanh_multiply(gate, up, Int64(count))
        case .relu, .gelu, .geluTanh: preconditionFailure("an activation without a gate")
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
        case .gatedSilu, .gatedGeluTanh: preconditionFailure("an activation with a gate")
        }
    }

    /// The derivatives of an activation with a gate by `gate` and `up`, in their places, from those by its outputs.
    /// - Precondition: `activation` has a gate.
    public func goBackThroughGate(
        _ gate: UnsafeMutablePointer<Float>, up: UnsafeMutablePointer<Float>, outputGradient: UnsafePointer<Float>,
        count: Int, by activation: ModelConfiguration.Activation
    ) {
        switch activation {
        case .gatedSilu: table.silu_gradient(gate, up, outputGradient, Int64(count))
        case .gatedGeluTanh:
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * count) { rows in
                let (byGate, activated) = (rows.baseAddress!, rows.baseAddress! + count)
                activated.update(from: gate, count: count)
                table.gelu_tanh(activated, Int64(count))
                for index in 0..<count {
                    byGate[index] = outputGradient[index] * up[index]
                    up[index] = outputGradient[index] * activated[index]
                }
                table.gelu_tanh_gradient(gate, byGate, Int64(count))
            }
        case .relu, .gelu, .geluTanh: preconditionFailure("an activation without a gate")
        }
    }

    /// Soft caps, in place: `limit * tanh(value / limit)`.
    /// - Parameter slopes: gets the derivatives of the results by the values.
    public func cap(
        _ values: UnsafeMutablePointer<Float>, count: Int, at limit: Float, slopes: UnsafeMutablePointer<Float>? = nil
    ) {
        table.soft_cap(values, Int64(count), limit)
        guard let slopes else { return }
        for index in 0..<count { slopes[index] = 1 - (values[index] / limit) * (values[index] / limit) }
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

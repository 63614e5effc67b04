import CKernels
import LinearAlgebra
import Sparse
import Tensors
import Transformer

extension LayerBackward {
    func goBackThroughMLP(_ weights: LayerWeights, stream: Matrix, _ reached: Reached) {
        let (kept, turned) = (activations, gradients)
        goBackThroughNormBehind(sums?.mlp, weights.postAttentionNorm, stream: stream)
        let product = goBackThroughOutputNorm(outputs?.mlp, weights.mlpOutputNorm, stream: stream)
        let down = weights.mlpInputs.upperBound
        reached(down, product.slice, activated.slice)
        // The derivative by what went into the down projection, in the place of that.
        multiply(product.slice, by: weights.down, into: activated.slice)
        goBackThroughActivation(hasGate: weights.gate != nil)
        reached(down - 1, kept.up.slice, mlpInput.slice)
        multiply(kept.up.slice, by: weights.up, into: turned.normalized.slice)
        if let gate = weights.gate {
            reached(down - 2, kept.gate.slice, mlpInput.slice)
            multiply(kept.gate.slice, by: gate, into: turned.change.slice)
            arithmetic.add(turned.change.slice, to: turned.normalized.slice)
        }
        goBackThroughNormBefore(middle, weights.postAttentionNorm, turned.normalized, stream: stream)
    }

    /// From the derivatives by what goes into the down projection, in `activated`, to those by gate and up, in theirs.
    private func goBackThroughActivation(hasGate: Bool) {
        let (kernels, activation) = (arithmetic.kernels, configuration.activation)
        let slices = (activations.gate.slice, activations.up.slice, activated.slice)
        arithmetic.forEachRow(of: slices.1) { row in
            let (up, gradient, count) = (slices.1.row(row), slices.2.row(row), slices.1.columns)
            if hasGate {
                kernels.goBackThroughGate(
                    slices.0.row(row), up: up, outputGradient: gradient, count: count, by: activation)
            } else {
                kernels.goBackThroughActivation(up, outputGradient: gradient, count: count, by: activation)
            }
        }
    }

    func goBackThroughAttention(_ weights: LayerWeights, input: Matrix, stream: Matrix, _ reached: Reached) {
        let (kept, turned) = (activations, gradients)
        goBackThroughNormBehind(sums?.attention, weights.inputNorm, stream: stream)
        let product = goBackThroughOutputNorm(outputs?.attention, weights.attentionOutputNorm, stream: stream)
        reached(3, product.slice, kept.attended.slice)
        multiply(product.slice, by: weights.output, into: turned.attended.slice)
        let heads = configuration.keyValueHeadCount
        let length = forward.length
        arithmetic.pool.forEachChunk(tokens / length * heads) { task, thread in
            let (sequence, head) = task.quotientAndRemainder(dividingBy: heads)
            HeadAttention(forward, thread: thread).goBack(
                kept, rows: sequence * length..<(sequence + 1) * length, keyValueHead: head, window: weights.window,
                gradients: turned)
        }
        if let rotation = weights.rotation {
            forward.rotate(turned.queries.slice, by: rotation, backwards: true)
            forward.rotate(turned.keys.slice, by: rotation, backwards: true)
        }
        if let norms = weights.headNorms, let unnormalized = kept.unnormalized {
            goBackThroughHeadNorms(of: unnormalized.queries, weight: norms.query, gradient: turned.queries)
            goBackThroughHeadNorms(of: unnormalized.keys, weight: norms.key, gradient: turned.keys)
        }
        let read = configuration.normsBefore ? kept.normalized : input
        let parts = [
            (turned.queries, weights.query), (turned.keys, weights.key), (turned.values, weights.value),
        ]
        for (index, (gradient, weight)) in parts.enumerated() {
            reached(index, gradient.slice, read.slice)
            multiply(gradient.slice, by: weight, into: index == 0 ? turned.normalized.slice : turned.change.slice)
            if index > 0 { arithmetic.add(turned.change.slice, to: turned.normalized.slice) }
        }
        goBackThroughNormBefore(input, weights.inputNorm, turned.normalized, stream: stream)
    }

    /// Adds what products say of their input, `gradient`, to the stream's derivative: through the norm, if one stands
    /// between.
    private func goBackThroughNormBefore(
        _ input: Matrix, _ norm: LayerWeights.Norm, _ gradient: Matrix, stream: Matrix
    ) {
        if configuration.normsBefore {
            forward.goBackThroughNorm(
                of: input.slice, by: norm, outputGradient: gradient.slice, addingTo: stream.slice)
        } else {
            arithmetic.add(gradient.slice, to: stream.slice)
        }
    }

    /// The stream's derivative behind a norm that stands behind a sum becomes that by the sum.
    private func goBackThroughNormBehind(_ sum: Matrix?, _ norm: LayerWeights.Norm, stream: Matrix) {
        guard let sum else { return }
        let before = gradients.change
        arithmetic.copy(stream.slice, into: before.slice)
        stream.elements.update(repeating: 0)
        forward.goBackThroughNorm(of: sum.slice, by: norm, outputGradient: before.slice, addingTo: stream.slice)
    }

    /// What the stream's derivative says of a product that is added to it: the same, or through the product's norm.
    private func goBackThroughOutputNorm(_ product: Matrix?, _ norm: LayerWeights.Norm?, stream: Matrix) -> Matrix {
        guard let product, let norm else { return stream }
        let gradient = gradients.change
        gradient.elements.update(repeating: 0)
        forward.goBackThroughNorm(of: product.slice, by: norm, outputGradient: stream.slice, addingTo: gradient.slice)
        return gradient
    }

    /// The derivatives by heads behind their norms become those by the heads before.
    private func goBackThroughHeadNorms(of heads: Matrix, weight: Matrix, gradient: Matrix) {
        let (table, epsilon, size) = (arithmetic.kernels.table, configuration.normEpsilon, configuration.headSize)
        let slices = (heads.slice, gradient.slice)
        arithmetic.forEachRow(of: slices.1) { row in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { before in
                for first in stride(from: 0, to: slices.1.columns, by: size) {
                    let target = slices.1.row(row) + first
                    before.baseAddress!.update(from: target, count: size)
                    target.update(repeating: 0, count: size)
                    table.rms_norm_gradient(
                        slices.0.row(row) + first, weight.pointer, Int64(size), epsilon, before.baseAddress, target)
                }
            }
        }
    }
}

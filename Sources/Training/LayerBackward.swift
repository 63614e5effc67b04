import CKernels
public import LinearAlgebra
import Sparse
import Tensors
import Transformer

/// The derivatives of a loss by a layer's projections, in their order and shapes.
public struct LayerGradients: Sendable {
    /// As ``LayerWeights/projections``.
    public let projections: [Matrix]

    public init(like weights: LayerWeights) {
        projections = weights.projections.map { Matrix(zeroRows: $0.rows, columns: $0.columns) }
    }
}

/// One layer forwards, keeping what the way back needs, and backwards; of llama's decoder only.
///
/// Between the two lie only the layer's inputs: whoever goes through all layers keeps those and runs each layer forward
/// again before it goes back through it (activation checkpointing, Chen et al., arXiv:1604.06174).
public final class LayerBackward {
    private let forward: LayerForward
    private let arithmetic: Arithmetic
    private let tokens: Int
    private let activations: LayerBuffers
    private let gradients: LayerBuffers
    /// The residual stream between attention and MLP.
    private let middle: Matrix
    private let secondNormalized: Matrix
    /// What goes into the down projection.
    private let activated: Matrix
    /// Memory for a transposed matrix of activations, and for one of its gradients.
    private let left: AlignedBuffer<Float>
    private let right: AlignedBuffer<Float>
    /// Memory for a transposed projection.
    private let turned: AlignedBuffer<Float>

    /// - Parameter tokens: rows of activations: a whole number of sequences.
    public init(_ forward: LayerForward, tokens: Int) {
        precondition(tokens % forward.length == 0)
        precondition(forward.configuration.departureFromLlama == nil, "layers that cannot be gone back through")
        self.forward = forward
        self.tokens = tokens
        arithmetic = forward.arithmetic
        let configuration = forward.configuration
        activations = LayerBuffers(configuration, tokens: tokens)
        gradients = LayerBuffers(configuration, tokens: tokens)
        middle = Matrix(uninitializedRows: tokens, columns: configuration.hiddenSize)
        secondNormalized = Matrix(uninitializedRows: tokens, columns: configuration.hiddenSize)
        activated = Matrix(uninitializedRows: tokens, columns: configuration.intermediateSize)
        let widest = max(configuration.hiddenSize, configuration.queryWidth, configuration.intermediateSize)
        left = AlignedBuffer(uninitializedCount: tokens * widest)
        right = AlignedBuffer(uninitializedCount: tokens * widest)
        turned = AlignedBuffer(uninitializedCount: widest * configuration.hiddenSize)
    }

    /// Runs a layer and keeps its activations.
    /// - Parameters:
    ///   - input: the residual stream before it, `[tokens, hiddenSize]`.
    ///   - output: the one behind it; nil if only the activations are wanted.
    public func run(_ weights: LayerWeights, input: Matrix, output: Matrix? = nil) {
        let kept = activations
        forward.attend(input.slice, weights, buffers: kept, into: kept.attended.slice)
        arithmetic.copy(input.slice, into: middle.slice)
        forward.addProduct(
            kept.attended.slice, by: weights.output, to: middle.slice, scratch: kept.change.slice)
        forward.normalize(middle.slice, by: weights.postAttentionNorm, into: secondNormalized.slice)
        arithmetic.multiply(secondNormalized.slice, transposed: gate(of: weights).slice, into: kept.gate.slice)
        arithmetic.multiply(secondNormalized.slice, transposed: weights.up.slice, into: kept.up.slice)
        arithmetic.copy(kept.gate.slice, into: activated.slice)
        forward.activate(gate: activated.slice, up: kept.up.slice)
        guard let output else { return }
        arithmetic.copy(middle.slice, into: output.slice)
        forward.addProduct(activated.slice, by: weights.down, to: output.slice, scratch: kept.change.slice)
    }

    /// Goes back through the layer that was just run.
    /// - Parameters:
    ///   - input: as it was run with.
    ///   - stream: the loss's derivative by the residual stream behind the layer; becomes the one before it.
    ///   - gradients: become the derivatives by the projections.
    public func goBack(_ weights: LayerWeights, input: Matrix, stream: Matrix, into gradients: LayerGradients) {
        goBackThroughMLP(weights, stream: stream, into: gradients)
        goBackThroughAttention(weights, input: input, stream: stream, into: gradients)
    }

    private func goBackThroughMLP(_ weights: LayerWeights, stream: Matrix, into result: LayerGradients) {
        let (kept, turned) = (activations, gradients)
        multiplyOuter(stream.slice, activated.slice, into: result.projections[6])
        // The derivative by what went into the down projection, in the place of that.
        multiply(stream.slice, by: weights.down, into: activated.slice)
        let table = arithmetic.kernels.table
        let slices = (kept.gate.slice, kept.up.slice, activated.slice)
        arithmetic.forEachRow(of: slices.0) { row in
            table.silu_gradient(
                slices.0.row(row), slices.1.row(row), slices.2.row(row), Int64(slices.0.columns))
        }
        multiplyOuter(kept.gate.slice, secondNormalized.slice, into: result.projections[4])
        multiplyOuter(kept.up.slice, secondNormalized.slice, into: result.projections[5])
        multiply(kept.gate.slice, by: gate(of: weights), into: turned.normalized.slice)
        multiply(kept.up.slice, by: weights.up, into: turned.change.slice)
        arithmetic.add(turned.change.slice, to: turned.normalized.slice)
        goBackThroughNorm(of: middle, weight: weights.postAttentionNorm.weight, turned.normalized, stream: stream)
    }

    private func goBackThroughAttention(
        _ weights: LayerWeights, input: Matrix, stream: Matrix, into result: LayerGradients
    ) {
        let (kept, turned) = (activations, gradients)
        multiplyOuter(stream.slice, kept.attended.slice, into: result.projections[3])
        multiply(stream.slice, by: weights.output, into: turned.attended.slice)
        let heads = forward.configuration.keyValueHeadCount
        let length = forward.length
        arithmetic.pool.forEachChunk(tokens / length * heads) { task, thread in
            let (sequence, head) = task.quotientAndRemainder(dividingBy: heads)
            HeadAttention(forward, thread: thread).goBack(
                kept, rows: sequence * length..<(sequence + 1) * length, keyValueHead: head, gradients: turned)
        }
        forward.rotate(turned.queries.slice, backwards: true)
        forward.rotate(turned.keys.slice, backwards: true)
        let parts = [
            (turned.queries, weights.query, result.projections[0]), (turned.keys, weights.key, result.projections[1]),
            (turned.values, weights.value, result.projections[2]),
        ]
        for (index, (gradient, weight, target)) in parts.enumerated() {
            multiplyOuter(gradient.slice, kept.normalized.slice, into: target)
            multiply(gradient.slice, by: weight, into: index == 0 ? turned.normalized.slice : turned.change.slice)
            if index > 0 { arithmetic.add(turned.change.slice, to: turned.normalized.slice) }
        }
        goBackThroughNorm(of: input, weight: weights.inputNorm.weight, turned.normalized, stream: stream)
    }

    private func gate(of weights: LayerWeights) -> Matrix {
        guard let gate = weights.gate else { preconditionFailure("an MLP without a gate backwards") }
        return gate
    }

    private func goBackThroughNorm(of input: Matrix, weight: Matrix, _ gradient: Matrix, stream: Matrix) {
        let (table, epsilon) = (arithmetic.kernels.table, forward.configuration.normEpsilon)
        let slices = (input.slice, gradient.slice, stream.slice)
        arithmetic.forEachRow(of: slices.2) { row in
            table.rms_norm_gradient(
                slices.0.row(row), weight.pointer, Int64(slices.0.columns), epsilon, slices.1.row(row),
                slices.2.row(row))
        }
    }

    /// `output = input * weight`, where a layer forwards has `input * weight^T`.
    private func multiply(_ input: MatrixSlice, by weight: Matrix, into output: MatrixSlice) {
        arithmetic.multiply(input, transposed: transpose(weight.slice, in: turned), into: output)
    }

    /// `target = gradient^T * input`: a projection's derivative.
    private func multiplyOuter(_ gradient: MatrixSlice, _ input: MatrixSlice, into target: Matrix) {
        arithmetic.multiply(
            transpose(gradient, in: left), transposed: transpose(input, in: right), into: target.slice)
    }

    private func transpose(_ input: MatrixSlice, in memory: AlignedBuffer<Float>) -> MatrixSlice {
        let output = MatrixSlice(
            pointer: memory.pointer, rows: input.columns, columns: input.rows, stride: input.rows)
        arithmetic.transpose(input, into: output)
        return output
    }
}

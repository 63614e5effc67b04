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

/// One layer forwards, keeping what the way back needs, and backwards.
///
/// Between the two lie only the layer's inputs: whoever goes through all layers keeps those and runs each layer forward
/// again before it goes back through it (activation checkpointing, Chen et al., arXiv:1604.06174).
public final class LayerBackward {
    let forward: LayerForward
    let tokens: Int
    let activations: LayerBuffers
    let gradients: LayerBuffers
    /// The residual stream between attention and MLP.
    let middle: Matrix
    /// What goes into the MLP where norms stand before it; else ``middle`` does.
    private let secondNormalized: Matrix
    /// What goes into the down projection.
    let activated: Matrix
    /// The residual stream before the norms that stand behind attention and MLP; nil where none do.
    let sums: (attention: Matrix, mlp: Matrix)?
    /// What attention and MLP give before norms of that; nil where there are none.
    let outputs: (attention: Matrix, mlp: Matrix)?
    /// Memory for a transposed matrix of activations, and for one of its gradients.
    private let left: AlignedBuffer<Float>
    private let right: AlignedBuffer<Float>
    /// Memory for a transposed projection.
    private let turned: AlignedBuffer<Float>

    var arithmetic: Arithmetic { forward.arithmetic }
    var configuration: ModelConfiguration { forward.configuration }

    /// - Parameter tokens: rows of activations: a whole number of sequences.
    public init(_ forward: LayerForward, tokens: Int) {
        precondition(tokens % forward.length == 0)
        self.forward = forward
        self.tokens = tokens
        let configuration = forward.configuration
        func stream() -> Matrix { Matrix(uninitializedRows: tokens, columns: configuration.hiddenSize) }
        activations = LayerBuffers(configuration, tokens: tokens, keepsHeads: true)
        gradients = LayerBuffers(configuration, tokens: tokens)
        middle = stream()
        secondNormalized = stream()
        activated = Matrix(uninitializedRows: tokens, columns: configuration.intermediateSize)
        sums = configuration.normsBefore ? nil : (stream(), stream())
        let family = configuration.family
        outputs = family.attentionOutputNorm == nil && family.mlpOutputNorm == nil ? nil : (stream(), stream())
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
        forward.addToStream(
            kept.attended.slice, by: weights.output, bias: weights.outputBias, norm: weights.inputNorm,
            outputNorm: weights.attentionOutputNorm, middle.slice, scratch: kept.change.slice,
            keepingOutputIn: outputs?.attention.slice, keepingSumIn: sums?.attention.slice)
        let inner = forward.productInput(
            middle.slice, norm: weights.postAttentionNorm, in: secondNormalized.slice)
        if let gate = weights.gate {
            forward.multiply(inner, by: gate, bias: weights.gateBias, into: kept.gate.slice)
        }
        forward.multiply(inner, by: weights.up, bias: weights.upBias, into: kept.up.slice)
        if weights.gate == nil {
            arithmetic.copy(kept.up.slice, into: activated.slice)
            forward.activate(activated.slice)
        } else {
            arithmetic.copy(kept.gate.slice, into: activated.slice)
            forward.activate(gate: activated.slice, up: kept.up.slice)
        }
        // The way back through norms behind products and sums needs what they were given.
        guard output != nil || sums != nil || outputs != nil else { return }
        let result = output ?? gradients.change
        arithmetic.copy(middle.slice, into: result.slice)
        forward.addToStream(
            activated.slice, by: weights.down, bias: weights.downBias, norm: weights.postAttentionNorm,
            outputNorm: weights.mlpOutputNorm, result.slice, scratch: kept.change.slice,
            keepingOutputIn: outputs?.mlp.slice, keepingSumIn: sums?.mlp.slice)
    }

    /// Goes back through the layer that was just run.
    /// - Parameters:
    ///   - input: as it was run with.
    ///   - stream: the loss's derivative by the residual stream behind the layer; becomes the one before it.
    ///   - gradients: become the derivatives by the projections.
    public func goBack(_ weights: LayerWeights, input: Matrix, stream: Matrix, into gradients: LayerGradients) {
        goBack(weights, input: input, stream: stream) { place, gradient, input in
            multiplyOuter(gradient, input, into: gradients.projections[place])
        }
    }

    /// A projection that the way back has reached.
    /// - Parameters:
    ///   - place: among ``LayerWeights/projections``.
    ///   - gradient: the loss's derivative by its output, `[tokens, rows]`.
    ///   - input: what went into it, `[tokens, columns]`.
    public typealias Reached = (_ place: Int, _ gradient: MatrixSlice, _ input: MatrixSlice) -> Void

    /// The same for who wants something else of the derivatives than their products with inputs.
    public func goBack(_ weights: LayerWeights, input: Matrix, stream: Matrix, reached: Reached) {
        goBackThroughMLP(weights, stream: stream, reached)
        goBackThroughAttention(weights, input: input, stream: stream, reached)
    }

    /// What goes into the MLP's products.
    var mlpInput: Matrix { configuration.normsBefore ? secondNormalized : middle }

    /// `output = input * weight`, where a layer forwards has `input * weight^T`.
    func multiply(_ input: MatrixSlice, by weight: Matrix, into output: MatrixSlice) {
        arithmetic.multiply(input, transposed: transpose(weight.slice, in: turned), into: output)
    }

    /// `target = gradient^T * input`: a projection's derivative.
    func multiplyOuter(_ gradient: MatrixSlice, _ input: MatrixSlice, into target: Matrix) {
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

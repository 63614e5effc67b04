import LinearAlgebra
import Training
import Transformer

/// The residual stream of all calibration tokens on its way through the layers of one model, step by step.
final class LayerStream {
    let forward: LayerForward
    /// The residual stream, `[tokens, hiddenSize]`.
    let hidden: Matrix
    /// Rows that go through a step together: whole sequences.
    let chunks: [Range<Int>]
    /// What goes into the output projection, later into the down projection.
    private let kept: Matrix
    private let buffers: LayerBuffers

    /// Tokens whose activations are held at a time, about.
    static let chunkTokens = 4096

    init(forward: LayerForward, hidden: Matrix) {
        self.forward = forward
        self.hidden = hidden
        let configuration = forward.configuration
        kept = Matrix(
            uninitializedRows: hidden.rows, columns: max(configuration.queryWidth, configuration.intermediateSize))
        let size =
            CalibrationTokens.sequenceCount(tokens: Self.chunkTokens, length: forward.length) * forward.length
        buffers = LayerBuffers(configuration, tokens: min(size, hidden.rows))
        let rows = hidden.rows
        chunks = stride(from: 0, to: rows, by: size).map { $0..<min($0 + size, rows) }
    }

    /// Takes it through a layer as it is.
    func run(_ weights: LayerWeights) {
        for rows in chunks {
            attend(rows, weights)
            addAttended(rows, weights)
            activate(rows, weights)
            addActivated(rows, weights)
        }
    }

    /// What goes into the query, key and value projections, until the next step.
    func attentionInput(_ rows: Range<Int>, _ weights: LayerWeights) -> MatrixSlice {
        productInput(rows, norm: weights.inputNorm)
    }

    /// Computes what goes into the output projection.
    func attend(_ rows: Range<Int>, _ weights: LayerWeights) {
        forward.attend(hidden.slice(rows: rows), weights, buffers: buffers, into: attended(rows))
    }

    func attended(_ rows: Range<Int>) -> MatrixSlice {
        kept.slice(rows: rows, columns: 0..<forward.configuration.queryWidth)
    }

    func addAttended(_ rows: Range<Int>, _ weights: LayerWeights) {
        forward.addToStream(
            attended(rows), by: weights.output, bias: weights.outputBias, norm: weights.inputNorm,
            outputNorm: weights.attentionOutputNorm, hidden.slice(rows: rows), scratch: slice(buffers.change, rows))
    }

    /// What goes into the gate and up projections, until the next step.
    func mlpInput(_ rows: Range<Int>, _ weights: LayerWeights) -> MatrixSlice {
        productInput(rows, norm: weights.postAttentionNorm)
    }

    /// Computes what goes into the down projection.
    func activate(_ rows: Range<Int>, _ weights: LayerWeights) {
        forward.activate(
            mlpInput(rows, weights), weights, scratch: slice(buffers.up, rows), into: activated(rows))
    }

    func activated(_ rows: Range<Int>) -> MatrixSlice {
        kept.slice(rows: rows, columns: 0..<forward.configuration.intermediateSize)
    }

    func addActivated(_ rows: Range<Int>, _ weights: LayerWeights) {
        forward.addToStream(
            activated(rows), by: weights.down, bias: weights.downBias, norm: weights.postAttentionNorm,
            outputNorm: weights.mlpOutputNorm, hidden.slice(rows: rows), scratch: slice(buffers.change, rows))
    }

    private func productInput(_ rows: Range<Int>, norm: LayerWeights.Norm) -> MatrixSlice {
        forward.productInput(hidden.slice(rows: rows), norm: norm, in: slice(buffers.normalized, rows))
    }

    private func slice(_ buffer: Matrix, _ rows: Range<Int>) -> MatrixSlice { buffer.slice(rows: 0..<rows.count) }
}

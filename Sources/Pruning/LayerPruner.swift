import Checkpoints
import LinearAlgebra
import Tensors
import Training
import Transformer

/// Takes one layer after the other through its four stages: what goes into its matrices is looked at, they are pruned,
/// and the pruned ones compute what goes into the next. So every matrix is fitted to what the ones before it really
/// give ("true-sequential" in the published code), and a layer is computed once.
///
/// Holds the residual stream of all tokens and what goes into one matrix; everything else for ``chunkTokens`` of them.
struct LayerPruner {
    let forward: LayerForward
    /// One that looks at inputs.
    let pruner: any Pruner
    let arithmetic: Arithmetic
    /// The residual stream, `[tokens, hiddenSize]`.
    let hidden: Matrix
    /// What goes into the output projection, later into the down projection.
    private let kept: Matrix
    private let buffers: LayerBuffers
    private let chunks: [Range<Int>]

    /// Tokens whose activations are held at a time, about.
    static let chunkTokens = 4096

    init(forward: LayerForward, pruner: any Pruner, hidden: Matrix) {
        self.forward = forward
        self.pruner = pruner
        arithmetic = forward.arithmetic
        self.hidden = hidden
        let configuration = forward.configuration
        kept = Matrix(
            uninitializedRows: hidden.rows, columns: max(configuration.queryWidth, configuration.intermediateSize))
        let size = max(Self.chunkTokens / forward.length, 1) * forward.length
        buffers = LayerBuffers(configuration, tokens: min(size, hidden.rows))
        let rows = hidden.rows
        chunks = stride(from: 0, to: rows, by: size).map { $0..<min($0 + size, rows) }
    }

    /// Takes the residual stream through a layer.
    /// - Parameters:
    ///   - weights: the layer's; `stage` may change them.
    ///   - stage: called with the places among ``LayerWeights/projections`` of matrices that read the same input,
    ///     before they are first used.
    func run(
        _ weights: LayerWeights, stage: (_ matrices: [Int], _ inputs: InputStatistics) throws -> Void
    ) throws {
        let configuration = forward.configuration
        let inner = configuration.intermediateSize
        try look(at: [0, 1, 2], width: configuration.hiddenSize, stage) { rows in
            normalized(rows, by: weights.inputNorm)
        }
        for rows in chunks { attend(rows, weights) }
        try look(at: [3], width: configuration.queryWidth, stage) { attended($0) }
        for rows in chunks {
            forward.addProduct(
                attended(rows), by: weights.output, to: hidden.slice(rows: rows), scratch: slice(buffers.change, rows))
        }
        try look(at: [4, 5], width: configuration.hiddenSize, stage) { rows in
            normalized(rows, by: weights.postAttentionNorm)
        }
        for rows in chunks { _ = activated(rows, weights) }
        try look(at: [6], width: inner, stage) { kept.slice(rows: $0, columns: 0..<inner) }
        for rows in chunks {
            forward.addProduct(
                kept.slice(rows: rows, columns: 0..<inner), by: weights.down, to: hidden.slice(rows: rows),
                scratch: slice(buffers.change, rows))
        }
    }

    /// The same with all inputs looked at in the dense layer, and all matrices pruned then: twice the time, as Wanda's
    /// authors do. Holds the residual stream a second time.
    func runAtOnce(
        _ weights: LayerWeights, stage: (_ matrices: [Int], _ inputs: InputStatistics) throws -> Void
    ) throws {
        let before = hidden.copy()
        var seen: [(matrices: [Int], inputs: InputStatistics)] = []
        try run(weights) { seen.append(($0, $1)) }
        arithmetic.copy(before.slice, into: hidden.slice)
        for (matrices, inputs) in seen { try stage(matrices, inputs) }
        run(weights)
    }

    /// Takes the residual stream through a layer as it is.
    func run(_ weights: LayerWeights) {
        for rows in chunks {
            attend(rows, weights)
            let stream = hidden.slice(rows: rows)
            forward.addProduct(attended(rows), by: weights.output, to: stream, scratch: slice(buffers.change, rows))
            let gate = activated(rows, weights)
            forward.addProduct(gate, by: weights.down, to: stream, scratch: slice(buffers.change, rows))
        }
    }

    private func look(
        at matrices: [Int], width: Int, _ stage: ([Int], InputStatistics) throws -> Void,
        _ inputs: (Range<Int>) -> MatrixSlice
    ) throws {
        let statistics = InputStatistics(width: width, kind: pruner.needs, arithmetic: arithmetic)
        for rows in chunks { statistics.add(inputs(rows)) }
        statistics.finish()
        try stage(matrices, statistics)
    }

    private func slice(_ buffer: Matrix, _ rows: Range<Int>) -> MatrixSlice { buffer.slice(rows: 0..<rows.count) }

    private func attended(_ rows: Range<Int>) -> MatrixSlice {
        kept.slice(rows: rows, columns: 0..<forward.configuration.queryWidth)
    }

    private func normalized(_ rows: Range<Int>, by weight: Matrix) -> MatrixSlice {
        let output = slice(buffers.normalized, rows)
        forward.normalize(hidden.slice(rows: rows), by: weight, into: output)
        return output
    }

    /// What goes into the down projection.
    private func activated(_ rows: Range<Int>, _ weights: LayerWeights) -> MatrixSlice {
        let input = normalized(rows, by: weights.postAttentionNorm)
        let gate = kept.slice(rows: rows, columns: 0..<forward.configuration.intermediateSize)
        arithmetic.multiply(input, transposed: weights.gate.slice, into: gate)
        arithmetic.multiply(input, transposed: weights.up.slice, into: slice(buffers.up, rows))
        forward.activate(gate: gate, up: slice(buffers.up, rows))
        return gate
    }

    private func attend(_ rows: Range<Int>, _ weights: LayerWeights) {
        forward.attend(hidden.slice(rows: rows), weights, buffers: buffers, into: attended(rows))
    }
}

import Checkpoints
import LinearAlgebra
import Training
import Transformer

/// Takes one layer after the other through its four stages: what goes into its matrices is looked at, they are pruned,
/// and the pruned ones compute what goes into the next. So every matrix is fitted to what the ones before it really
/// give ("true-sequential" in the published code), and a layer is computed once.
///
/// Besides, the dense model may go the same way, so that each matrix makes up for what the ones before it lost.
/// Holds the residual stream of all tokens and what goes into one matrix, twice if the dense model goes along;
/// everything else for ``LayerStream/chunkTokens`` of them.
struct LayerPruner {
    let stream: LayerStream
    /// The dense model's; nil if it does not go along.
    private let dense: LayerStream?
    /// What the method wants to know of inputs.
    private let needs: InputStatistics.Kind
    /// How far a matrix makes up for what the ones before it lost, 0...1.
    private let compensation: Double
    /// Of sums over tokens.
    private let arithmetic: Arithmetic

    /// Before the first layer. Activations are computed in bf16, where that is faster: they are samples.
    /// - Parameter arithmetic: in float32.
    /// - Throws: `CheckpointError` if embeddings cannot be read.
    init(
        _ checkpoint: Checkpoint, configuration: ModelConfiguration, tokens: CalibrationTokens,
        needs: InputStatistics.Kind, compensation: Double, arithmetic: Arithmetic
    ) throws(CheckpointError) {
        let forward = LayerForward(
            configuration, length: tokens.length, rotaryFactors: try checkpoint.rotaryFactors(configuration),
            arithmetic: arithmetic.with(precision: .bfloat16))
        let hidden = try checkpoint.embeddings(
            of: tokens.sequences, configuration: configuration, arithmetic: arithmetic)
        self.needs = needs
        self.compensation = compensation
        self.arithmetic = arithmetic
        dense =
            needs == .products && compensation > 0 ? LayerStream(forward: forward, hidden: hidden.copy()) : nil
        stream = LayerStream(forward: forward, hidden: hidden)
    }

    typealias Stage = (_ matrices: [Int], _ inputs: InputStatistics) throws -> Void

    /// Takes the residual stream through a layer.
    /// - Parameters:
    ///   - weights: the layer's; `stage` may change them.
    ///   - stage: called with the places among ``LayerWeights/projections`` of matrices that read the same input,
    ///     before they are first used.
    func run(_ weights: LayerWeights, stage: Stage) throws {
        let before = dense == nil ? weights : weights.copy()
        func forBoth(_ step: (LayerStream) -> (Range<Int>, LayerWeights) -> Void) {
            if let dense { dense.chunks.forEach { step(dense)($0, before) } }
            stream.chunks.forEach { step(stream)($0, weights) }
        }
        func look(
            at matrices: [Int], addsToStream: Bool = false,
            _ inputs: (LayerStream) -> (Range<Int>, LayerWeights) -> MatrixSlice
        ) throws {
            let width = weights.projections[matrices[0]].columns
            let drift = dense.map { _ in
                InputDrift(
                    width: width, streamWidth: addsToStream ? stream.hidden.columns : nil, share: compensation,
                    arithmetic: stream.forward.arithmetic)
            }
            let statistics = InputStatistics(width: width, kind: needs, arithmetic: arithmetic, drift: drift)
            for rows in stream.chunks {
                let input = inputs(stream)(rows, weights)
                statistics.add(input)
                guard let dense else { continue }
                drift?.add(
                    input, dense: inputs(dense)(rows, before), stream: stream.hidden.slice(rows: rows),
                    denseStream: dense.hidden.slice(rows: rows))
            }
            statistics.finish()
            try stage(matrices, statistics)
        }
        try look(at: [0, 1, 2], LayerStream.attentionInput)
        forBoth(LayerStream.attend)
        // What is normalised before it is added cannot make up for what the stream has lost.
        try look(at: [3], addsToStream: weights.attentionOutputNorm == nil) { stream in
            { rows, _ in stream.attended(rows) }
        }
        forBoth(LayerStream.addAttended)
        try look(at: Array(weights.mlpInputs), LayerStream.mlpInput)
        forBoth(LayerStream.activate)
        let down = weights.mlpInputs.upperBound
        try look(at: [down], addsToStream: weights.mlpOutputNorm == nil) { stream in
            { rows, _ in stream.activated(rows) }
        }
        forBoth(LayerStream.addActivated)
    }

    /// The same with all inputs looked at in the dense layer, and all matrices pruned then: twice the time, as Wanda's
    /// authors do. Holds the residual stream a second time.
    func runAtOnce(_ weights: LayerWeights, stage: Stage) throws {
        let before = stream.hidden.copy()
        var seen: [(matrices: [Int], inputs: InputStatistics)] = []
        try run(weights) { seen.append(($0, $1)) }
        arithmetic.copy(before.slice, into: stream.hidden.slice)
        for (matrices, inputs) in seen { try stage(matrices, inputs) }
        stream.run(weights)
    }

    /// Takes the residual stream through a layer that is pruned, the dense model's through the layer as it was.
    func run(_ weights: LayerWeights, dense: () throws -> LayerWeights) rethrows {
        if let stream = self.dense { stream.run(try dense()) }
        stream.run(weights)
    }
}

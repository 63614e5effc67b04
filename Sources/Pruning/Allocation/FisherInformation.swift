import Checkpoints
import LinearAlgebra
import Training
import Transformer

/// How much a model's answers depend on the outputs of its projections: the diagonal of the Fisher information by them.
///
/// What moves a row's output by d at some token moves the model's distributions by a divergence of about `f d^2 / 2`,
/// where f is the mean square of the derivative, by that output, of the logarithm of a next token's probability; the
/// token is drawn from the model's own distribution.
struct FisherInformation {
    /// For every layer, projection and row the mean over tokens of the derivative's square.
    let outputs: [[[Double]]]
    /// For every layer, projection and column the mean over tokens of the input's square.
    let inputs: [[[Double]]]
}

extension FisherInformation {
    /// Tokens that go through the layers together, about: their residual streams before all layers are held.
    private static let batchTokens = 1024

    /// Reads the model layer by layer, twice for every batch of tokens.
    /// - Parameter progress: called with the number of steps done, and of all.
    /// - Throws: `CheckpointError` if the model cannot be read; `PruningError` for derivatives that are no numbers.
    /// - Complexity: three products with every projection for every token.
    init(
        _ checkpoint: Checkpoint, configuration: ModelConfiguration, tokens: CalibrationTokens, arithmetic: Arithmetic,
        progress: (Int, Int) -> Void
    ) throws {
        let forward = LayerForward(
            configuration, length: tokens.length, rotaryFactors: try checkpoint.rotaryFactors(configuration),
            arithmetic: arithmetic.with(precision: .bfloat16))
        let head = try DistillationHead(checkpoint, forward: forward)
        var weights = try LayerWeights(checkpoint, configuration: configuration, layer: 0)
        let count = configuration.layerCount
        let squares = (0..<count).map { _ in
            weights.projections.map { matrix in
                (
                    outputs: InputStatistics(width: matrix.rows, kind: .squares, arithmetic: arithmetic),
                    inputs: InputStatistics(width: matrix.columns, kind: .squares, arithmetic: arithmetic)
                )
            }
        }
        let size = CalibrationTokens.sequenceCount(tokens: Self.batchTokens, length: tokens.length)
        let starts = Array(stride(from: 0, to: tokens.sequences.count, by: size))
        for (batch, start) in starts.enumerated() {
            let sequences = Array(tokens.sequences[start..<min(start + size, tokens.sequences.count)])
            let pass = LayerBackward(forward, tokens: sequences.count * tokens.length)
            var streams = [
                try checkpoint.embeddings(of: sequences, configuration: configuration, arithmetic: arithmetic)
            ]
            for index in 0..<count {
                try weights.read(checkpoint, configuration: configuration, layer: index)
                streams.append(Matrix(uninitializedRows: streams[0].rows, columns: streams[0].columns))
                pass.run(weights, input: streams[index], output: streams[index + 1])
                progress(2 * batch * count + index + 1, 2 * starts.count * count)
            }
            let gradient = Matrix(uninitializedRows: streams[0].rows, columns: streams[0].columns)
            head.drawnGradient(streams[count], seed: UInt64(batch), into: gradient)
            for index in (0..<count).reversed() {
                try weights.read(checkpoint, configuration: configuration, layer: index)
                pass.run(weights, input: streams[index])
                pass.goBack(weights, input: streams[index], stream: gradient) { place, output, input in
                    squares[index][place].outputs.add(output)
                    squares[index][place].inputs.add(input)
                }
                progress(2 * (batch + 1) * count - index, 2 * starts.count * count)
            }
        }
        func means(_ statistics: InputStatistics) throws(PruningError) -> [Double] {
            try statistics.finiteSquares().map { $0 / Double(max(statistics.tokenCount, 1)) }
        }
        outputs = try squares.map { try $0.map { try means($0.outputs) } }
        inputs = try squares.map { try $0.map { try means($0.inputs) } }
    }
}

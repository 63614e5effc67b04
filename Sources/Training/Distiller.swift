public import Checkpoints
public import LinearAlgebra
import Tensors
public import Transformer

/// Trains what pruning left of a model on the dense model's own distributions: every weight that is not zero, so that
/// the zeros stay.
///
/// Adam, its state beside the weights; a layer's weights are updated as soon as the way back has passed it, so that
/// gradients exist for one layer only. Embeddings, norms and head stay as they are.
/// Source: Hinton et al., "Distilling the Knowledge in a Neural Network", arXiv:1503.02531; Kingma, Ba, "Adam",
/// arXiv:1412.6980.
public final class Distiller {
    public struct Settings: Sendable {
        public var rate: Float = 3e-4
        public var firstDecay: Float = 0.9
        public var secondDecay: Float = 0.98
        public var epsilon: Float = 1e-8
        /// Steps in which the rate rises from nothing; then it falls to nothing along a cosine.
        public var warmUpSteps = 4

        public init() {}

        /// The rate of step `index` of `count`.
        func rate(ofStep index: Int, of count: Int) -> Float {
            if index < warmUpSteps { return rate * Float(index + 1) / Float(warmUpSteps) }
            let progress = Double(index - warmUpSteps) / Double(max(count - warmUpSteps, 1))
            return rate * Float(0.5 * (1 + cosine(.pi * progress)))
        }
    }

    public let layers: [LayerWeights]
    private let teacher: Checkpoint
    private let configuration: ModelConfiguration
    private let settings: Settings
    private let forward: LayerForward
    private let pass: LayerBackward
    private let head: DistillationHead
    private let states: [[AdamState]]
    private let gradients: LayerGradients
    /// What goes into each layer, and what comes out of the last.
    private let streams: [Matrix]
    private var steps = 0

    private var arithmetic: Arithmetic { forward.arithmetic }

    /// - Parameters:
    ///   - student: a pruned copy of `teacher`.
    ///   - sequences: of a step, each of `length` tokens.
    /// - Throws: `CheckpointError` for tensors that are missing, misshapen or not finite.
    public init(
        student: Checkpoint, teacher: Checkpoint, configuration: ModelConfiguration, sequences: Int, length: Int,
        settings: Settings = .init(), arithmetic: Arithmetic
    ) throws(CheckpointError) {
        self.teacher = teacher
        self.configuration = configuration
        self.settings = settings
        let forward = LayerForward(
            configuration, length: length, rotaryFactors: try teacher.rotaryFactors(configuration),
            arithmetic: arithmetic)
        self.forward = forward
        var layers: [LayerWeights] = []
        for index in 0..<configuration.layerCount {
            layers.append(try LayerWeights(student, configuration: configuration, layer: index))
        }
        self.layers = layers
        states = layers.map { $0.projections.map { AdamState(like: $0) } }
        gradients = LayerGradients(like: layers[0])
        pass = LayerBackward(forward, tokens: sequences * length)
        head = try DistillationHead(teacher, forward: forward)
        streams = (0...configuration.layerCount).map { _ in
            Matrix(uninitializedRows: sequences * length, columns: configuration.hiddenSize)
        }
    }

    /// One step: the divergence on these tokens before it.
    /// - Parameters:
    ///   - sequences: as many as announced, of the announced length.
    ///   - count: all steps there will be, for the rate.
    /// - Throws: `CheckpointError` if the teacher cannot be read.
    public func step(_ sequences: [[Int32]], of count: Int) throws(CheckpointError) -> Double {
        let teacherStream = try runBoth(sequences)
        let gradient = Matrix(uninitializedRows: teacherStream.rows, columns: teacherStream.columns)
        let loss = head.loss(student: streams[layers.count], teacher: teacherStream, gradient: gradient)
        let rate = settings.rate(ofStep: steps, of: count)
        steps += 1
        for index in layers.indices.reversed() {
            pass.run(layers[index], input: streams[index])
            for matrix in gradients.projections { matrix.elements.update(repeating: 0) }
            pass.goBack(layers[index], input: streams[index], stream: gradient, adding: gradients)
            for (place, weights) in layers[index].projections.enumerated() {
                states[index][place].update(
                    weights, by: gradients.projections[place], settings: settings, rate: rate, step: steps,
                    arithmetic: arithmetic)
            }
        }
        return loss
    }

    /// The divergence on tokens, without learning from them.
    public func loss(_ sequences: [[Int32]]) throws(CheckpointError) -> Double {
        let teacherStream = try runBoth(sequences)
        return head.loss(student: streams[layers.count], teacher: teacherStream)
    }

    /// The student's streams into ``streams``; returns the teacher's behind its last layer.
    private func runBoth(_ sequences: [[Int32]]) throws(CheckpointError) -> Matrix {
        let tokens = sequences.flatMap(\.self)
        precondition(tokens.count == streams[0].rows, "\(tokens.count) tokens, expected \(streams[0].rows)")
        try teacher.embed(tokens, configuration: configuration, into: streams[0])
        var (stream, next) = (streams[0].copy(), streams[0].copy())
        for index in layers.indices {
            let dense = try LayerWeights(teacher, configuration: configuration, layer: index)
            pass.run(dense, input: stream, output: next)
            swap(&stream, &next)
        }
        for (index, weights) in layers.enumerated() {
            pass.run(weights, input: streams[index], output: streams[index + 1])
        }
        return stream
    }
}

/// Adam's two averages for one matrix.
private final class AdamState {
    private let first: Matrix
    private let second: Matrix

    init(like matrix: Matrix) {
        first = Matrix(zeroRows: matrix.rows, columns: matrix.columns)
        second = Matrix(zeroRows: matrix.rows, columns: matrix.columns)
    }

    /// Zeros stay zeros, and no other weight becomes one.
    func update(
        _ weights: Matrix, by gradient: Matrix, settings: Distiller.Settings, rate: Float, step: Int,
        arithmetic: Arithmetic
    ) {
        let firstScale = Float(1 / (1 - power(Double(settings.firstDecay), Double(step))))
        let secondScale = Float(1 / (1 - power(Double(settings.secondDecay), Double(step))))
        let (firstDecay, secondDecay, epsilon) = (settings.firstDecay, settings.secondDecay, settings.epsilon)
        let slices = (weights.slice, gradient.slice, first.slice, second.slice)
        arithmetic.forEachRow(of: slices.0) { row in
            let (w, g) = (slices.0.row(row), slices.1.row(row))
            let (m, v) = (slices.2.row(row), slices.3.row(row))
            for column in 0..<slices.0.columns {
                let slope = w[column] == 0 ? 0 : g[column]
                m[column] = firstDecay * m[column] + (1 - firstDecay) * slope
                v[column] = secondDecay * v[column] + (1 - secondDecay) * slope * slope
                let change = rate * m[column] * firstScale / ((v[column] * secondScale).squareRoot() + epsilon)
                let moved = w[column] - change
                w[column] = w[column] == 0 || moved == 0 ? w[column] : moved
            }
        }
    }
}

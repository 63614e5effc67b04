public import Checkpoints
import CKernels
public import LinearAlgebra
public import Sparse
import Tensors
public import Transformer

/// Trains what pruning left of a model on the dense model's own distributions: every weight that is not zero, so that
/// the zeros stay.
///
/// The loss is the divergence of the distributions and the distance of the residual streams behind each layer, which
/// tells every layer where it should have been. Adam, its state beside the weights; a layer's weights are updated as
/// soon as the way back has passed it, so that gradients exist for one layer only. Embeddings, norms and head stay as
/// they are.
/// Source: Hinton et al., "Distilling the Knowledge in a Neural Network", arXiv:1503.02531; Kurtic et al., "Sparse
/// Fine-tuning for Inference Acceleration of Large Language Models", arXiv:2310.06927 (the distance, there by layers);
/// Kingma, Ba, "Adam", arXiv:1412.6980.
public final class Distiller {
    public struct Settings: Sendable {
        public var rate: Float = 3e-4
        public var firstDecay: Float = 0.9
        public var secondDecay: Float = 0.98
        public var epsilon: Float = 1e-8
        /// Steps in which the rate rises from nothing; then it falls to nothing along a cosine.
        public var warmUpSteps = 4

        /// Weight of the layers' outputs in the loss: of the squared distance between the student's residual stream and
        /// the teacher's, as a share of the teacher's own square, averaged over tokens and layers.
        public var layerWeight: Float = 10

        public init() {}

        /// The rate of step `index` of `count`.
        func rate(ofStep index: Int, of count: Int) -> Float {
            if index < warmUpSteps { return rate * Float(index + 1) / Float(warmUpSteps) }
            let progress = Double(index - warmUpSteps) / Double(max(count - warmUpSteps, 1))
            return rate * Float(0.5 * (1 + cosine(.pi * progress)))
        }
    }

    /// The student's, trained in place.
    public let layers: [LayerWeights]
    /// The student's matrices if they have values of few bits; else empty.
    private let rounded: [[RoundedWeights]]
    private let teacher: Checkpoint
    private let configuration: ModelConfiguration
    private let settings: Settings
    private let forward: LayerForward
    private let pass: LayerBackward
    private let head: DistillationHead
    /// One layer of the teacher at a time.
    private var dense: LayerWeights
    let states: [[AdamState]]
    private let gradients: LayerGradients
    /// What goes into each layer, and what comes out of the last.
    private let streams: [Matrix]
    /// What comes out of each of the teacher's layers.
    private let teacherStreams: [Matrix]
    /// Steps taken.
    public internal(set) var steps = 0

    private var arithmetic: Arithmetic { forward.arithmetic }

    /// - Parameters:
    ///   - student: the layers of a pruned copy of `teacher`; trained in place.
    ///   - values: of few bits, that the student is rounded to and keeps having; nil for none.
    ///   - sequences: of a step, each of `length` tokens.
    /// - Throws: `CheckpointError` for tensors that are missing, misshapen or not finite.
    public init(
        student: [LayerWeights], values: ValueGrid? = nil, teacher: Checkpoint, configuration: ModelConfiguration,
        sequences: Int, length: Int, settings: Settings = .init(), arithmetic: Arithmetic
    ) throws(CheckpointError) {
        self.teacher = teacher
        self.configuration = configuration
        self.settings = settings
        let forward = LayerForward(
            configuration, length: length, rotaryFactors: try teacher.rotaryFactors(configuration),
            arithmetic: arithmetic)
        self.forward = forward
        layers = student
        rounded =
            values.map { grid in
                student.map {
                    $0.projections.map { RoundedWeights($0, grid: grid, arithmetic: arithmetic) }
                }
            } ?? []
        states = layers.map { $0.projections.map { AdamState(like: $0) } }
        gradients = LayerGradients(like: layers[0])
        dense = try LayerWeights(teacher, configuration: configuration, layer: 0)
        pass = LayerBackward(forward, tokens: sequences * length)
        head = try DistillationHead(teacher, forward: forward)
        func stream() -> Matrix {
            Matrix(uninitializedRows: sequences * length, columns: configuration.hiddenSize)
        }
        streams = (0...configuration.layerCount).map { _ in stream() }
        teacherStreams = (0..<configuration.layerCount).map { _ in stream() }
    }

    /// One step: the divergence on these tokens before it.
    /// - Parameters:
    ///   - sequences: as many as announced, of the announced length.
    ///   - count: all steps there will be, for the rate.
    /// - Throws: `CheckpointError` if the teacher cannot be read.
    public func step(_ sequences: [[Int32]], of count: Int) throws(CheckpointError) -> Double {
        let teacherStream = try runTeacher(sequences, into: teacherStreams)
        try runStudent(sequences)
        let gradient = Matrix(uninitializedRows: teacherStream.rows, columns: teacherStream.columns)
        let loss = head.loss(student: streams[layers.count], teacher: teacherStream, gradient: gradient)
        let rate = settings.rate(ofStep: steps, of: count)
        steps += 1
        for index in layers.indices.reversed() {
            addDistanceGradient(behind: index, to: gradient)
            pass.run(layers[index], input: streams[index])
            pass.goBack(layers[index], input: streams[index], stream: gradient, into: gradients)
            for place in layers[index].projections.indices {
                states[index][place].update(
                    trained(index, place), by: gradients.projections[place], settings: settings, rate: rate,
                    step: steps, arithmetic: arithmetic)
            }
            round(index)
        }
        return loss
    }

    /// What Adam moves of a layer: the matrix that products see, or what is behind it.
    func trained(_ layer: Int, _ place: Int) -> Matrix {
        rounded.isEmpty ? layers[layer].projections[place] : rounded[layer][place].weights
    }

    /// Makes a layer's values those of what is behind them.
    func round(_ layer: Int) {
        if !rounded.isEmpty { rounded[layer].forEach { $0.round(arithmetic: arithmetic) } }
    }

    /// The derivative of the distance between the streams behind a layer.
    private func addDistanceGradient(behind layer: Int, to gradient: Matrix) {
        let (student, teacher) = (streams[layer + 1].slice, teacherStreams[layer].slice)
        let (target, width) = (gradient.slice, gradient.columns)
        let factor = 2 * settings.layerWeight / Float(layers.count * gradient.rows)
        arithmetic.forEachRow(of: target) { row in
            let (x, y, slope) = (student.row(row), teacher.row(row), target.row(row))
            var square: Float = 0
            for column in 0..<width { square += y[column] * y[column] }
            guard square > 0 else { return }
            for column in 0..<width { slope[column] += factor / square * (x[column] - y[column]) }
        }
    }

    /// Tokens to measure the divergence on again and again, with what the teacher says of them.
    public struct Probe {
        let sequences: [[Int32]]
        let teacherStream: Matrix
    }

    /// - Parameter sequences: as many as a step has.
    public func probe(_ sequences: [[Int32]]) throws(CheckpointError) -> Probe {
        Probe(sequences: sequences, teacherStream: try runTeacher(sequences))
    }

    /// The divergence on tokens, without learning from them.
    public func loss(_ probe: Probe) throws(CheckpointError) -> Double {
        try runStudent(probe.sequences)
        return head.loss(student: streams[layers.count], teacher: probe.teacherStream)
    }

    /// The teacher's residual stream behind its last layer; those behind all layers into `kept`.
    private func runTeacher(_ sequences: [[Int32]], into kept: [Matrix]? = nil) throws(CheckpointError) -> Matrix {
        var stream = try embedded(sequences)
        var next = Matrix(uninitializedRows: stream.rows, columns: stream.columns)
        for index in layers.indices {
            try dense.read(teacher, configuration: configuration, layer: index)
            pass.run(dense, input: stream, output: next)
            swap(&stream, &next)
            if let kept { arithmetic.copy(stream.slice, into: kept[index].slice) }
        }
        return stream
    }

    /// The student's residual streams, into ``streams``.
    private func runStudent(_ sequences: [[Int32]]) throws(CheckpointError) {
        arithmetic.copy(try embedded(sequences).slice, into: streams[0].slice)
        for (index, weights) in layers.enumerated() {
            pass.run(weights, input: streams[index], output: streams[index + 1])
        }
    }

    private func embedded(_ sequences: [[Int32]]) throws(CheckpointError) -> Matrix {
        let stream = try teacher.embeddings(
            of: sequences, configuration: configuration, arithmetic: forward.arithmetic)
        precondition(stream.rows == streams[0].rows, "\(stream.rows) tokens, expected \(streams[0].rows)")
        return stream
    }
}

/// Adam's two averages for one matrix.
final class AdamState {
    let first: Matrix
    let second: Matrix

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
        let slices = (weights.slice, gradient.slice, first.slice, second.slice)
        let values = flash_adam(
            first_decay: settings.firstDecay, second_decay: settings.secondDecay, first_scale: firstScale,
            second_scale: secondScale, rate: rate, epsilon: settings.epsilon)
        withUnsafePointer(to: values) { values in
            arithmetic.forEachRow(of: slices.0) { row in
                arithmetic.kernels.table.adam(
                    slices.0.row(row), slices.1.row(row), slices.2.row(row), slices.3.row(row),
                    Int64(slices.0.columns), values)
            }
        }
    }
}

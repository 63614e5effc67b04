public import Checkpoints
public import LinearAlgebra
import Tensors
public import Transformer

/// One layer's weights in float32, to be read and changed.
public struct LayerWeights: Sendable {
    /// A weight and a bias of `[hiddenSize]` each, as rows; no bias for RMS norms.
    public struct Norm: Sendable {
        public let weight: Matrix
        public let bias: Matrix?

        public init(weight: Matrix, bias: Matrix? = nil) {
            self.weight = weight
            self.bias = bias
        }

        init(_ configuration: ModelConfiguration) {
            weight = Matrix(uninitializedRows: 1, columns: configuration.hiddenSize)
            bias =
                configuration.family.norm == .rms
                ? nil : Matrix(uninitializedRows: 1, columns: configuration.hiddenSize)
        }

        /// A norm of a checkpoint.
        /// - Throws: `CheckpointError` if it is missing, misshapen or not finite.
        public init(
            reading name: String, from checkpoint: Checkpoint, configuration: ModelConfiguration
        ) throws(CheckpointError) {
            self.init(configuration)
            try read(name, from: checkpoint, plus: configuration.family.normOffset)
        }

        func read(_ name: String, from checkpoint: Checkpoint, plus offset: Float) throws(CheckpointError) {
            try weight.read(name, from: checkpoint, plus: offset)
            try bias?.read(Family.bias(of: name), from: checkpoint)
        }
    }

    /// How this layer rotates queries and keys, a place among ``ModelConfiguration/rotaries``; nil if it does not.
    private(set) var rotation: Int?
    /// How many of the last tokens this layer looks at; nil for all.
    private(set) var window: Int?
    public let inputNorm: Norm
    /// `[queryWidth, hiddenSize]`
    public let query: Matrix
    /// `[keyValueWidth, hiddenSize]`
    public let key: Matrix
    /// `[keyValueWidth, hiddenSize]`
    public let value: Matrix
    /// `[hiddenSize, queryWidth]`
    public let output: Matrix
    public let postAttentionNorm: Norm
    /// `[intermediateSize, hiddenSize]`; nil for an MLP without a gate.
    public let gate: Matrix?
    /// `[intermediateSize, hiddenSize]`
    public let up: Matrix
    /// `[hiddenSize, intermediateSize]`
    public let down: Matrix
    /// What is added to products, by the names of the matrices in ``Family``, as rows; none where there is none.
    private let biases: [String: Matrix]
    private let family: Family
    /// `[headSize]` each, as rows: norms of every head's query and key.
    let headNorms: (query: Matrix, key: Matrix)?
    /// Of what attention and MLP give, before that is added to the stream; nil if there are none.
    public let attentionOutputNorm: Norm?
    public let mlpOutputNorm: Norm?

    /// Reads a layer from a checkpoint that is not packed.
    /// - Throws: `CheckpointError` naming a tensor that is missing, misshapen or not finite.
    public init(_ checkpoint: Checkpoint, configuration: ModelConfiguration, layer: Int) throws(CheckpointError) {
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        let (queries, keys) = (configuration.queryWidth, configuration.keyValueWidth)
        func matrix(_ rows: Int, _ columns: Int) -> Matrix { Matrix(uninitializedRows: rows, columns: columns) }
        family = configuration.family
        rotation = configuration.rotation(layer: layer)
        window = configuration.window(layer: layer)
        inputNorm = Norm(configuration)
        query = matrix(queries, hidden)
        key = matrix(keys, hidden)
        value = matrix(keys, hidden)
        output = matrix(hidden, queries)
        postAttentionNorm = Norm(configuration)
        gate = family.gateProjection.map { _ in matrix(inner, hidden) }
        up = matrix(inner, hidden)
        down = matrix(hidden, inner)
        var biases: [String: Matrix] = [:]
        if configuration.biases.queryKeyValue {
            biases[family.queryProjection] = matrix(1, queries)
            biases[family.keyProjection] = matrix(1, keys)
            biases[family.valueProjection] = matrix(1, keys)
        }
        if configuration.biases.output { biases[family.outputProjection] = matrix(1, hidden) }
        if configuration.biases.mlp {
            if let name = family.gateProjection { biases[name] = matrix(1, inner) }
            biases[family.upProjection] = matrix(1, inner)
            biases[family.downProjection] = matrix(1, hidden)
        }
        self.biases = biases
        headNorms =
            family.queryNorm == nil ? nil : (matrix(1, configuration.headSize), matrix(1, configuration.headSize))
        attentionOutputNorm = family.attentionOutputNorm.map { _ in Norm(configuration) }
        mlpOutputNorm = family.mlpOutputNorm.map { _ in Norm(configuration) }
        try read(checkpoint, configuration: configuration, layer: layer)
    }

    /// Reads another layer of the same kind, or one of another model of the same shape, in place of this one.
    /// - Throws: `CheckpointError` as above; then some of the matrices are the new layer's.
    public mutating func read(
        _ checkpoint: Checkpoint, configuration: ModelConfiguration, layer: Int
    ) throws(CheckpointError) {
        rotation = configuration.rotation(layer: layer)
        window = configuration.window(layer: layer)
        let prefix = family.layerPrefix(layer)
        let norms = [
            (inputNorm, family.inputNorm), (postAttentionNorm, family.postAttentionNorm),
            (attentionOutputNorm, family.attentionOutputNorm), (mlpOutputNorm, family.mlpOutputNorm),
        ]
        for case (let norm?, let name?) in norms {
            try norm.read(prefix + name, from: checkpoint, plus: family.normOffset)
        }
        for (name, matrix) in zip(family.projections(layer: layer), projections) {
            try matrix.read(name, from: checkpoint)
        }
        for (name, bias) in biases { try bias.read(prefix + Family.bias(of: name), from: checkpoint) }
        if let headNorms, let queryNorm = family.queryNorm, let keyNorm = family.keyNorm {
            try headNorms.query.read(prefix + queryNorm, from: checkpoint, plus: family.normOffset)
            try headNorms.key.read(prefix + keyNorm, from: checkpoint, plus: family.normOffset)
        }
    }

    /// A layer of its own with the same projections; norms and biases, which nobody changes, are shared.
    public func copy() -> LayerWeights { LayerWeights(copying: self) }

    private init(copying other: LayerWeights) {
        family = other.family
        rotation = other.rotation
        window = other.window
        inputNorm = other.inputNorm
        query = other.query.copy()
        key = other.key.copy()
        value = other.value.copy()
        output = other.output.copy()
        postAttentionNorm = other.postAttentionNorm
        gate = other.gate?.copy()
        up = other.up.copy()
        down = other.down.copy()
        biases = other.biases
        headNorms = other.headNorms
        attentionOutputNorm = other.attentionOutputNorm
        mlpOutputNorm = other.mlpOutputNorm
    }

    /// The projections, in the order of their use and of ``Family/projections(layer:)``.
    public var projections: [Matrix] { [query, key, value, output, gate, up, down].compactMap(\.self) }

    /// Places among ``projections`` of those that read the MLP's input.
    public var mlpInputs: Range<Int> { 4..<projections.count - 1 }

    public var queryBias: Matrix? { biases[family.queryProjection] }
    public var keyBias: Matrix? { biases[family.keyProjection] }
    public var valueBias: Matrix? { biases[family.valueProjection] }
    public var outputBias: Matrix? { biases[family.outputProjection] }
    public var gateBias: Matrix? { family.gateProjection.flatMap { biases[$0] } }
    public var upBias: Matrix? { biases[family.upProjection] }
    public var downBias: Matrix? { biases[family.downProjection] }
}

extension Matrix {
    /// A tensor of a checkpoint, a vector as one row.
    /// - Throws: `CheckpointError` if it is missing, has another shape or is not finite.
    public convenience init(
        reading name: String, rows: Int, columns: Int, from checkpoint: Checkpoint
    ) throws(CheckpointError) {
        self.init(uninitializedRows: rows, columns: columns)
        try read(name, from: checkpoint)
    }

    /// The same in place of what the matrix holds, with something added to every element.
    func read(_ name: String, from checkpoint: Checkpoint, plus offset: Float = 0) throws(CheckpointError) {
        guard let description = checkpoint[name], description.elementCount == rows * columns,
            description.shape.last == columns
        else {
            throw CheckpointError(
                .damaged, path: checkpoint.path, subject: "tensor \"\(name)\"",
                expected: "\(rows) x \(columns) elements", found: "shape \(checkpoint[name]?.shape ?? [])")
        }
        try checkpoint.read(name, as: .f32, into: UnsafeMutableRawBufferPointer(elements))
        if offset != 0 { for index in elements.indices { elements[index] += offset } }
    }
}

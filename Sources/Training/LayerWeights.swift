public import Checkpoints
public import LinearAlgebra
import Tensors
public import Transformer

/// One layer's weights in float32, to be read and changed.
public struct LayerWeights: Sendable {
    /// `[hiddenSize]`, as a row.
    public let inputNorm: Matrix
    /// `[queryWidth, hiddenSize]`
    public let query: Matrix
    /// `[keyValueWidth, hiddenSize]`
    public let key: Matrix
    /// `[keyValueWidth, hiddenSize]`
    public let value: Matrix
    /// `[hiddenSize, queryWidth]`
    public let output: Matrix
    /// `[hiddenSize]`, as a row.
    public let postAttentionNorm: Matrix
    /// `[intermediateSize, hiddenSize]`
    public let gate: Matrix
    /// `[intermediateSize, hiddenSize]`
    public let up: Matrix
    /// `[hiddenSize, intermediateSize]`
    public let down: Matrix

    /// Reads a layer from a checkpoint that is not packed.
    /// - Throws: `CheckpointError` naming a tensor that is missing, misshapen or not finite.
    public init(_ checkpoint: Checkpoint, configuration: ModelConfiguration, layer: Int) throws(CheckpointError) {
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        let (queries, keys) = (configuration.queryWidth, configuration.keyValueWidth)
        func matrix(_ rows: Int, _ columns: Int) -> Matrix { Matrix(uninitializedRows: rows, columns: columns) }
        inputNorm = matrix(1, hidden)
        query = matrix(queries, hidden)
        key = matrix(keys, hidden)
        value = matrix(keys, hidden)
        output = matrix(hidden, queries)
        postAttentionNorm = matrix(1, hidden)
        gate = matrix(inner, hidden)
        up = matrix(inner, hidden)
        down = matrix(hidden, inner)
        try read(checkpoint, family: configuration.family, layer: layer)
    }

    /// Reads another layer, or one of another model of the same shape, in place of this one.
    /// - Throws: `CheckpointError` as above; then some of the matrices are the new layer's.
    public func read(_ checkpoint: Checkpoint, family: Family, layer: Int) throws(CheckpointError) {
        let prefix = family.layerPrefix(layer)
        try inputNorm.read(prefix + family.inputNorm, from: checkpoint)
        try query.read(prefix + family.queryProjection, from: checkpoint)
        try key.read(prefix + family.keyProjection, from: checkpoint)
        try value.read(prefix + family.valueProjection, from: checkpoint)
        try output.read(prefix + family.outputProjection, from: checkpoint)
        try postAttentionNorm.read(prefix + family.postAttentionNorm, from: checkpoint)
        try gate.read(prefix + family.gateProjection, from: checkpoint)
        try up.read(prefix + family.upProjection, from: checkpoint)
        try down.read(prefix + family.downProjection, from: checkpoint)
    }

    /// A layer of its own with the same weights.
    public func copy() -> LayerWeights { LayerWeights(copying: self) }

    private init(copying other: LayerWeights) {
        inputNorm = other.inputNorm.copy()
        query = other.query.copy()
        key = other.key.copy()
        value = other.value.copy()
        output = other.output.copy()
        postAttentionNorm = other.postAttentionNorm.copy()
        gate = other.gate.copy()
        up = other.up.copy()
        down = other.down.copy()
    }

    /// The projections, in the order of their use and of ``Family/projections(layer:)``.
    public var projections: [Matrix] { [query, key, value, output, gate, up, down] }
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

    /// The same in place of what the matrix holds.
    func read(_ name: String, from checkpoint: Checkpoint) throws(CheckpointError) {
        guard let description = checkpoint[name], description.elementCount == rows * columns,
            description.shape.last == columns
        else {
            throw CheckpointError(
                .damaged, path: checkpoint.path, subject: "tensor \"\(name)\"",
                expected: "\(rows) x \(columns) elements", found: "shape \(checkpoint[name]?.shape ?? [])")
        }
        try checkpoint.read(name, as: .f32, into: UnsafeMutableRawBufferPointer(elements))
    }
}

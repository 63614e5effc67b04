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
        let family = configuration.family
        let prefix = family.layerPrefix(layer)
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        let (queries, keys) = (configuration.queryWidth, configuration.keyValueWidth)
        func matrix(_ name: String, _ rows: Int, _ columns: Int) throws(CheckpointError) -> Matrix {
            try Matrix(reading: prefix + name, rows: rows, columns: columns, from: checkpoint)
        }
        inputNorm = try matrix(family.inputNorm, 1, hidden)
        query = try matrix(family.queryProjection, queries, hidden)
        key = try matrix(family.keyProjection, keys, hidden)
        value = try matrix(family.valueProjection, keys, hidden)
        output = try matrix(family.outputProjection, hidden, queries)
        postAttentionNorm = try matrix(family.postAttentionNorm, 1, hidden)
        gate = try matrix(family.gateProjection, inner, hidden)
        up = try matrix(family.upProjection, inner, hidden)
        down = try matrix(family.downProjection, hidden, inner)
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
        guard let description = checkpoint[name], description.elementCount == rows * columns,
            description.shape.last == columns
        else {
            throw CheckpointError(
                .damaged, path: checkpoint.path, subject: "tensor \"\(name)\"",
                expected: "\(rows) x \(columns) elements", found: "shape \(checkpoint[name]?.shape ?? [])")
        }
        self.init(uninitializedRows: rows, columns: columns)
        try checkpoint.read(name, as: .f32, into: UnsafeMutableRawBufferPointer(elements))
    }
}

public import Checkpoints

/// The tensors that a decoder is made of: their names and shapes, without their elements.
public struct DecoderLayout: Sendable {
    /// A matrix of a layer that is pruned and packed.
    public struct Projection: Sendable, Equatable {
        public let name: String
        public let layer: Int
        /// The name within the layer, without "weight": `self_attn.q_proj`.
        public let module: String
        public let rows: Int
        public let columns: Int

        public var elementCount: Int { rows * columns }
    }

    /// A tensor that is not pruned: embedding, norm or head.
    public struct Tensor: Sendable, Equatable {
        public let name: String
        public let shape: [Int]
    }

    /// Layer by layer, in the order of their use.
    public let projections: [Projection]
    /// A head that is tied to the embedding is not listed.
    public let others: [Tensor]
    /// The embedding table and the head, if it is separate: matrices that can be quantised.
    public let tables: [String]

    public init(_ configuration: ModelConfiguration) {
        let family = configuration.family
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        let (queries, keys) = (configuration.queryWidth, configuration.keyValueWidth)
        let shapes: [(name: String, rows: Int, columns: Int)] = [
            (family.queryProjection, queries, hidden), (family.keyProjection, keys, hidden),
            (family.valueProjection, keys, hidden), (family.outputProjection, hidden, queries),
            (family.gateProjection, inner, hidden), (family.upProjection, inner, hidden),
            (family.downProjection, hidden, inner),
        ]
        let table = [configuration.vocabularySize, hidden]
        var others = [Tensor(name: family.embedding, shape: table)]
        var projections: [Projection] = []
        for layer in 0..<configuration.layerCount {
            let prefix = family.layerPrefix(layer)
            projections += shapes.map { shape in
                let suffix = ".weight"
                let module = shape.name.hasSuffix(suffix) ? String(shape.name.dropLast(suffix.count)) : shape.name
                return Projection(
                    name: prefix + shape.name, layer: layer, module: module, rows: shape.rows, columns: shape.columns)
            }
            others += [family.inputNorm, family.postAttentionNorm].map { Tensor(name: prefix + $0, shape: [hidden]) }
        }
        others.append(Tensor(name: family.finalNorm, shape: [hidden]))
        if !configuration.tiesHead { others.append(Tensor(name: family.head, shape: table)) }
        self.projections = projections
        self.others = others
        tables = configuration.tiesHead ? [family.embedding] : [family.embedding, family.head]
    }

    /// Weights of the model.
    public var parameterCount: Int {
        projections.reduce(0) { $0 + $1.elementCount } + others.reduce(0) { $0 + $1.shape.reduce(1, *) }
    }

    /// Checks that a model has all these tensors in these shapes, and in types that can be read. Reads no weights.
    /// - Parameter packed: the checkpoint's packed matrices, if it is a packed model.
    /// - Throws: `CheckpointError` naming the first tensor that is missing or has another shape.
    public func check(_ checkpoint: Checkpoint, packed: PackedWeights?) throws(CheckpointError) {
        for projection in projections {
            let matrix = packed?.manifest.matrices[projection.name]
            try check(
                projection.name, [projection.rows, projection.columns], in: checkpoint,
                packedShape: matrix.map { [$0.rows, $0.columns] })
        }
        for tensor in others {
            let matrix = packed?.manifest.matrices[tensor.name]
            try check(
                tensor.name, tensor.shape, in: checkpoint, packedShape: matrix.map { [$0.rows, $0.columns] })
        }
    }

    private func check(
        _ name: String, _ shape: [Int], in checkpoint: Checkpoint, packedShape: [Int]?
    ) throws(CheckpointError) {
        let description = checkpoint[name]
        guard let found = packedShape ?? description?.shape else {
            throw CheckpointError(
                .missing, path: checkpoint.path, subject: "tensor \"\(name)\"", expected: "it among the tensors",
                found: "none of that name")
        }
        guard found == shape else {
            throw CheckpointError(
                .damaged, path: checkpoint.path, subject: "tensor \"\(name)\"",
                expected: "shape \(shape) by the configuration", found: "\(found)")
        }
        if packedShape == nil, let description, !description.encoding.isReadable {
            throw CheckpointError(
                .unsupported, path: checkpoint.path, subject: "tensor \"\(name)\"", expected: "a type of weights",
                found: description.storedType)
        }
    }
}

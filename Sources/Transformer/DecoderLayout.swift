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

    /// A tensor that is not pruned: table, norm, bias or head.
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
        let biases = configuration.biases
        let shapes: [(name: String?, rows: Int, columns: Int, hasBias: Bool)] = [
            (family.queryProjection, queries, hidden, biases.queryKeyValue),
            (family.keyProjection, keys, hidden, biases.queryKeyValue),
            (family.valueProjection, keys, hidden, biases.queryKeyValue),
            (family.outputProjection, hidden, queries, biases.output),
            (family.gateProjection, inner, hidden, biases.mlp), (family.upProjection, inner, hidden, biases.mlp),
            (family.downProjection, hidden, inner, biases.mlp),
        ]
        func norm(_ name: String) -> [Tensor] {
            let weight = Tensor(name: name, shape: [hidden])
            return family.norm == .rms ? [weight] : [weight, Tensor(name: Family.bias(of: name), shape: [hidden])]
        }
        let table = [configuration.vocabularySize, configuration.embeddingSize]
        var others = [Tensor(name: family.embedding, shape: table)]
        if let rows = configuration.positionTableRows, let name = family.positionTable {
            others.append(Tensor(name: name, shape: [rows, hidden]))
        }
        if configuration.projectsEmbeddings, let input = family.embeddingProjection, let output = family.headProjection
        {
            others.append(Tensor(name: input, shape: [hidden, configuration.embeddingSize]))
            others.append(Tensor(name: output, shape: [configuration.embeddingSize, hidden]))
        }
        var projections: [Projection] = []
        for layer in 0..<configuration.layerCount {
            let prefix = family.layerPrefix(layer)
            for shape in shapes {
                guard let name = shape.name else { continue }
                let suffix = ".weight"
                let module = name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : name
                projections.append(
                    Projection(
                        name: prefix + name, layer: layer, module: module, rows: shape.rows, columns: shape.columns))
                if shape.hasBias { others.append(Tensor(name: prefix + Family.bias(of: name), shape: [shape.rows])) }
            }
            others += norm(prefix + family.inputNorm) + norm(prefix + family.postAttentionNorm)
            for name in [family.attentionOutputNorm, family.mlpOutputNorm].compactMap(\.self) {
                others += norm(prefix + name)
            }
            others += [family.queryNorm, family.keyNorm].compactMap(\.self).map {
                Tensor(name: prefix + $0, shape: [configuration.headSize])
            }
        }
        if configuration.hasFinalNorm { others += norm(family.finalNorm) }
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

public import Checkpoints
import Sparse
public import Tensors

extension DecoderWeights {
    /// Takes a decoder's weights from a checkpoint, packed or not.
    ///
    /// What is stored in a type that the kernels read stays in the mapped file; everything else is decoded into memory.
    /// Packed matrices are checked at their first use.
    /// - Parameters:
    ///   - type: what weights are decoded to; bf16 weights stay bf16 unless f32 is asked for.
    ///   - packing: what becomes of dense matrices; nil leaves them as they are. A packed model stays what it is, and
    ///     weights that shall be f32 are never cut to 16 bits to pack them.
    ///   - progress: called with the number of layers done and in all.
    /// - Throws: `CheckpointError` or `ModelError` naming the tensor that is missing, damaged or of another shape than
    ///   the configuration says; `ModelError` for a packed model whose values shall become integers.
    public init(
        _ checkpoint: Checkpoint, configuration: ModelConfiguration, type: WeightType = .f16,
        packing: LoadPacking? = nil, pool: WorkerPool, progress: (Int, Int) -> Void = { _, _ in }
    ) throws {
        let loader = try Loader(checkpoint: checkpoint, type: type, packing: packing, pool: pool)
        let family = configuration.family
        let hidden = configuration.hiddenSize
        var pending: [[PendingChecks.Check]] = []
        var loaded: [Layer] = []
        for index in 0..<configuration.layerCount {
            let (layer, checks) = try loader.layer(index, configuration)
            loaded.append(layer)
            pending.append(checks)
            progress(index + 1, configuration.layerCount)
        }
        layers = loaded
        finalNorm = configuration.hasFinalNorm ? try loader.norm(family.finalNorm, configuration) : nil
        var outside: [PendingChecks.Check] = []
        func matrix(_ name: String, _ rows: Int, _ columns: Int, packer: LoadPacker? = nil) throws -> PackedMatrix {
            let loaded = try loader.matrix(name, rows: rows, columns: columns, packer: packer)
            outside += loaded.checks
            return loaded.matrix
        }
        func table(_ name: String, _ rows: Int, _ columns: Int) throws -> PackedMatrix {
            let table = try matrix(name, rows, columns)
            guard table.format == .dense else {
                throw ModelError(name, expected: "a dense matrix", found: table.format.rawValue)
            }
            return table
        }
        let (vocabulary, width) = (configuration.vocabularySize, configuration.embeddingSize)
        embedding = try table(family.embedding, vocabulary, width)
        let headPacker = packing?.includesHead == true ? loader.packer : nil
        headIsTied = configuration.tiesHead && headPacker == nil
        let headName = configuration.tiesHead ? family.embedding : family.head
        head = headIsTied ? embedding : try matrix(headName, vocabulary, width, packer: headPacker)
        if let rows = configuration.positionTableRows, let name = family.positionTable {
            positionTable = try table(name, rows, hidden)
        }
        if configuration.projectsEmbeddings, let input = family.embeddingProjection, let output = family.headProjection
        {
            embeddingProjection = try matrix(input, hidden, width)
            headProjection = try matrix(output, width, hidden)
        }
        let factors = "rope_freqs.weight"
        rotaryFactors =
            try checkpoint[factors] == nil
            ? nil : Array(loader.vector(factors, count: configuration.headSize / 2))
        pendingChecks = PendingChecks(pending + [outside])
        packedAtLoad = loader.packer?.result ?? PackedAtLoad()
    }
}

/// Takes single tensors from a checkpoint and holds them against the configuration.
private struct Loader {
    let checkpoint: Checkpoint
    let packed: PackedWeights?
    let type: WeightType
    let pool: WorkerPool
    /// Where decoded weights lie behind each other.
    let arena = Arena()
    /// nil where matrices stay as they are.
    let packer: LoadPacker?

    init(checkpoint: Checkpoint, type: WeightType, packing: LoadPacking?, pool: WorkerPool) throws {
        self.checkpoint = checkpoint
        self.type = type
        self.pool = pool
        packed = try PackedWeights(checkpoint)
        guard let packing else {
            packer = nil
            return
        }
        if packed != nil, packing.values != .exact {
            throw ModelError(
                "\(checkpoint.path): integers at loading", expected: "a model that is not packed",
                found: "a packed one")
        }
        let keeps = packed != nil || (packing.values == .exact && type == .f32)
        packer = keeps ? nil : LoadPacker(packing, checkpoint: checkpoint, pool: pool)
    }

    func layer(
        _ index: Int, _ configuration: ModelConfiguration
    ) throws -> (layer: DecoderWeights.Layer, checks: [PendingChecks.Check]) {
        let family = configuration.family
        let prefix = family.layerPrefix(index)
        let (hidden, inner) = (configuration.hiddenSize, configuration.intermediateSize)
        let (queries, keys) = (configuration.queryWidth, configuration.keyValueWidth)
        var checks: [PendingChecks.Check] = []
        func projection(_ name: String, rows: Int, columns: Int) throws -> PackedMatrix {
            let loaded = try matrix(prefix + name, rows: rows, columns: columns, packer: packer)
            checks += loaded.checks
            return loaded.matrix
        }
        func bias(_ name: String?, _ isThere: Bool, count: Int) throws -> Storage<Float>? {
            guard let name = name.map({ prefix + Family.bias(of: $0) }) else { return nil }
            if isThere { return try vector(name, count: count) }
            // Configurations do not always mention biases; left out, one would spoil every answer without a word.
            if checkpoint[name] != nil {
                throw ModelError(name, expected: "no such bias by config.json and type \(family.name)", found: "one")
            }
            return nil
        }
        var layer = DecoderWeights.Layer(
            inputNorm: try norm(prefix + family.inputNorm, configuration),
            query: try projection(family.queryProjection, rows: queries, columns: hidden),
            key: try projection(family.keyProjection, rows: keys, columns: hidden),
            value: try projection(family.valueProjection, rows: keys, columns: hidden),
            output: try projection(family.outputProjection, rows: hidden, columns: queries),
            postAttentionNorm: try norm(prefix + family.postAttentionNorm, configuration),
            gate: try family.gateProjection.map { try projection($0, rows: inner, columns: hidden) },
            up: try projection(family.upProjection, rows: inner, columns: hidden),
            down: try projection(family.downProjection, rows: hidden, columns: inner))
        let biases = configuration.biases
        layer.biases.query = try bias(family.queryProjection, biases.queryKeyValue, count: queries)
        layer.biases.key = try bias(family.keyProjection, biases.queryKeyValue, count: keys)
        layer.biases.value = try bias(family.valueProjection, biases.queryKeyValue, count: keys)
        layer.biases.output = try bias(family.outputProjection, biases.output, count: hidden)
        layer.biases.gate = try bias(family.gateProjection, biases.mlp, count: inner)
        layer.biases.up = try bias(family.upProjection, biases.mlp, count: inner)
        layer.biases.down = try bias(family.downProjection, biases.mlp, count: hidden)
        let (size, offset) = (configuration.headSize, family.normOffset)
        layer.queryNorm = try family.queryNorm.map { try vector(prefix + $0, count: size, plus: offset) }
        layer.keyNorm = try family.keyNorm.map { try vector(prefix + $0, count: size, plus: offset) }
        layer.attentionOutputNorm = try family.attentionOutputNorm.map { try norm(prefix + $0, configuration) }
        layer.mlpOutputNorm = try family.mlpOutputNorm.map { try norm(prefix + $0, configuration) }
        return (layer, checks)
    }

    func norm(_ name: String, _ configuration: ModelConfiguration) throws -> DecoderWeights.Norm {
        let hidden = configuration.hiddenSize
        return DecoderWeights.Norm(
            weight: try vector(name, count: hidden, plus: configuration.family.normOffset),
            bias: configuration.family.norm == .rms ? nil : try vector(Family.bias(of: name), count: hidden))
    }

    func matrix(
        _ name: String, rows: Int, columns: Int, packer: LoadPacker? = nil
    ) throws -> (matrix: PackedMatrix, checks: [PendingChecks.Check]) {
        if let packed, let matrix = try packed.matrix(name) {
            try requireShape(name, [rows, columns], found: [matrix.rows, matrix.columns])
            return (matrix, [check(packed, name)])
        }
        guard let description = checkpoint[name] else {
            throw ModelError(name, expected: "a tensor of that name", found: "none in \(checkpoint.path)")
        }
        try requireShape(name, [rows, columns], found: description.shape)
        let stored = description.encoding.elementType
        let type = type != .f32 && stored == .bf16 ? .bf16 : type
        if let packer {
            let sixteenBits: WeightType = type == .f32 ? .f16 : type
            let packed = try packer.pack(name, rows: rows, columns: columns, as: sixteenBits, arena: arena)
            if let packed { return (packed, []) }
        }
        let bytes = try checkpoint.elements(name, as: type, pool: pool, arena: arena)
        let matrix = DenseMatrix(rows: rows, columns: columns, element: type.elementType, bytes: bytes)
        return (.dense(matrix), packed.map { [check($0, name)] } ?? [])
    }

    /// Vectors are small: read, and in a packed folder checked, at once.
    func vector(_ name: String, count: Int, plus offset: Float = 0) throws -> Storage<Float> {
        guard let description = checkpoint[name] else {
            throw ModelError(name, expected: "a tensor of that name", found: "none in \(checkpoint.path)")
        }
        try requireShape(name, [count], found: description.shape)
        try packed?.check(name)
        let buffer = AlignedBuffer<Float>(uninitializedCount: count)
        try checkpoint.read(name, as: .f32, into: UnsafeMutableRawBufferPointer(buffer.elements))
        if offset != 0 { for index in buffer.elements.indices { buffer.elements[index] += offset } }
        return buffer.frozen()
    }

    private func check(_ packed: PackedWeights, _ name: String) -> PendingChecks.Check {
        { () throws(ModelError) in
            do throws(CheckpointError) { try packed.check(name) } catch {
                throw ModelError(
                    "\(error.path), \(error.subject)", expected: error.expected, found: error.found)
            }
        }
    }

    private func requireShape(_ name: String, _ expected: [Int], found: [Int]) throws(ModelError) {
        if expected != found {
            throw ModelError("shape of \(name)", expected: "\(expected)", found: "\(found)")
        }
    }
}

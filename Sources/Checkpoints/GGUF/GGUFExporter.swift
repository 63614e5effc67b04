import OrderedCollections
import OrderedJSON
public import Tensors

/// Writes a model, packed or not, as a GGUF file that llama.cpp opens. Tensors are read one after the other, in memory
/// for one.
public struct GGUFExporter {
    /// What matrices are stored as; vectors are always f32, which ggml wants.
    public enum MatrixType: String, Sendable, CaseIterable {
        case f16, bf16, f32, q8_0
    }

    /// The rotary embedding's constants, which configurations spell in many ways, or leave to their family.
    public struct Rotary: Sendable {
        public var headSize: Int
        public var base: Double
        /// What positions are divided by; nil for none.
        public var linearFactor: Double?
        /// What each frequency is divided by, half of a head's size; nil for none.
        public var factors: [Float]?

        public init(headSize: Int, base: Double, linearFactor: Double? = nil, factors: [Float]? = nil) {
            self.headSize = headSize
            self.base = base
            self.linearFactor = linearFactor
            self.factors = factors
        }
    }

    /// What was written.
    public struct Report: Sendable {
        public let tensorCount: Int
        public let elementCount: Int
        public let byteCount: Int
    }

    /// Where the file goes, and what its writing does besides.
    public struct Destination {
        public var path: String
        /// Whether an existing file may be replaced.
        public var overwriting: Bool
        /// Called with the number of tensors done and in all.
        public var progress: (Int, Int) -> Void
        /// Called with the path under which the file is being written, so that a program that is interrupted can
        /// remove it.
        public var started: (String) -> Void

        public init(
            path: String, overwriting: Bool, progress: @escaping (Int, Int) -> Void = { _, _ in },
            started: @escaping (String) -> Void = { _ in }
        ) {
            self.path = path
            self.overwriting = overwriting
            self.progress = progress
            self.started = started
        }
    }

    /// A tensor to write: the model's, or the rotary factors.
    private struct Item {
        let source: String
        let tensor: GGUFWriter.Tensor
        let interleavedHeadSize: Int?
    }

    private static let factorsName = "rope_freqs.weight"

    private let weights: PlainWeights
    private let architecture: GGUFArchitecture
    private let configuration: JSON

    /// - Throws: `CheckpointError` if the model's family has no GGUF names here.
    public init(_ checkpoint: Checkpoint, pool: WorkerPool) throws(CheckpointError) {
        weights = try PlainWeights(checkpoint, pool: pool)
        configuration = checkpoint.configuration
        guard let architecture = GGUFArchitecture.describing(configuration) else {
            let known = GGUFArchitecture.all.map(\.name).joined(separator: " or ")
            throw CheckpointError(
                .unsupported, path: checkpoint.path, subject: "the model's type", expected: "\(known) for a GGUF file",
                found: configuration["model_type"]?.stringValue?.quoted ?? "none")
        }
        self.architecture = architecture
    }

    /// Writes the file.
    /// - Parameters:
    ///   - name: of the model, for people.
    ///   - type: of the matrices; nil for ``PlainWeights/plainType(of:)``. Matrices whose rows are no whole blocks of
    ///     q8_0 become f16.
    ///   - tokenizer: with a token for every row of the embedding table.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity; then nothing is left behind.
    public func write(
        to destination: Destination, name: String, type: MatrixType?, tokenizer: GGUFTokenizer, rotary: Rotary
    ) throws(CheckpointError) -> Report {
        try checkTarget(destination)
        let items = try items(type: type, rotary: rotary)
        var metadata = GGUFMetadataWriter()
        metadata.add("general.architecture", architecture.name)
        metadata.add("general.type", "model")
        metadata.add("general.name", name)
        // The number by which ggml calls what most matrices are.
        metadata.add("general.file_type", fileType(of: items))
        if items.contains(where: { $0.tensor.type == .Q8_0 }) {
            metadata.add("general.quantization_version", UInt32(2))
        }
        try addConfiguration(to: &metadata, rotary: rotary)
        add(tokenizer, to: &metadata)
        let writer = try GGUFWriter(
            path: destination.path, metadata: metadata, tensors: items.map(\.tensor), started: destination.started)
        var elementCount = 0
        for (index, item) in items.enumerated() {
            if item.source == Self.factorsName, let factors = rotary.factors {
                try writer.append(item.tensor.name, Storage(factors).bytes)
            } else {
                try writer.append(item.tensor.name, try bytes(of: item))
                elementCount += item.tensor.shape.reduce(1, *)
            }
            weights.release(item.source)
            destination.progress(index + 1, items.count)
        }
        try writer.finish()
        return Report(tensorCount: items.count, elementCount: elementCount, byteCount: writer.byteCount)
    }

    /// Removes a file that is being written, after an interruption; to be called with what ``Destination/started`` got.
    public static func remove(unfinished path: String) { FileSystem.remove(path) }

    private func checkTarget(_ destination: Destination) throws(CheckpointError) {
        let path = FileSystem.resolved(destination.path)
        func conflict(_ expected: String, _ found: String) -> CheckpointError {
            CheckpointError(.conflict, path: path, subject: "the output file", expected: expected, found: found)
        }
        let kept = [weights.checkpoint.path] + Set(weights.checkpoint.tensors.map(\.path))
        for kept in kept.map(FileSystem.resolved) where FileSystem.contains(kept, path) {
            throw conflict(
                "a place apart from the model that is read", path == kept ? "the same place" : "one inside the other")
        }
        guard FileSystem.exists(path) else { return }
        guard try FileSystem.kind(of: path) == .file else { throw conflict("a new file", "a folder") }
        guard destination.overwriting else {
            throw conflict("a new file unless overwriting is asked for", "one that is there")
        }
    }

    private func fileType(of items: [Item]) -> UInt32 {
        switch items.first(where: { $0.tensor.shape.count == 2 && $0.tensor.name.hasPrefix("blk.") })?.tensor.type {
        case .F16: 1
        case .Q8_0: 7
        case .BF16: 32
        default: 0
        }
    }
}

// MARK: - Tensors

extension GGUFExporter {
    private func items(type: MatrixType?, rotary: Rotary) throws(CheckpointError) -> [Item] {
        var items: [Item] = []
        let tied = configuration["tie_word_embeddings"]?.boolValue ?? false
        for name in weights.names {
            // What the architecture has no name for is nothing that its decoder reads.
            guard let stored = architecture.storedName(of: name), let plain = weights.plainType(of: name),
                !(tied && stored.name.hasPrefix("output."))
            else { continue }
            let shape = try weights.shape(of: name)
            guard 1...GGUFLimits.rank ~= shape.count, !shape.contains(0) else {
                throw CheckpointError(
                    .unsupported, path: weights.checkpoint.path, subject: "tensor \(name.quoted)",
                    expected: "one to \(GGUFLimits.rank) dimensions that are not zero", found: "\(shape)")
            }
            let encoding = Self.encoding(shape: shape, plain: plain, type: type)
            items.append(
                Item(
                    source: name,
                    tensor: GGUFWriter.Tensor(
                        name: stored.name, shape: shape, type: encoding,
                        byteCount: encoding.encoding.byteCount(elementCount: shape.reduce(1, *)) ?? 0),
                    interleavedHeadSize: try stored.heads.map { (heads) throws(CheckpointError) in
                        try headSize(heads, rows: shape.first ?? 0, of: name)
                    }))
        }
        if let factors = rotary.factors {
            let tensor = GGUFWriter.Tensor(
                name: Self.factorsName, shape: [factors.count], type: .F32, byteCount: 4 * factors.count)
            items.append(Item(source: Self.factorsName, tensor: tensor, interleavedHeadSize: nil))
        }
        return items
    }

    private static func encoding(shape: [Int], plain: WeightType, type: MatrixType?) -> GGUFTensorType {
        guard shape.count >= 2 else { return .F32 }
        switch type {
        case .f32: return .F32
        case .f16: return .F16
        case .bf16: return .BF16
        case .q8_0: return shape[shape.count - 1] % 32 == 0 ? .Q8_0 : .F16
        case nil:
            switch plain {
            case .f32: return .F32
            case .f16: return .F16
            case .bf16: return .BF16
            }
        }
    }

    private func headSize(
        _ heads: GGUFArchitecture.Heads, rows: Int, of name: String
    ) throws(CheckpointError) -> Int {
        let all = try size("num_attention_heads")
        let count = heads == .attention ? all : configuration["num_key_value_heads"]?.intValue ?? all
        guard count > 0, rows > 0, rows % count == 0, rows / count % 2 == 0 else {
            throw CheckpointError(
                .damaged, path: weights.checkpoint.path, subject: "tensor \(name.quoted)",
                expected: "\(count) heads of an even number of rows", found: "\(rows) rows")
        }
        return rows / count
    }

    private func bytes(of item: Item) throws(CheckpointError) -> Storage<UInt8> {
        let tensor = item.tensor
        let type: WeightType =
            switch tensor.type {
            case .F16: .f16
            case .BF16: .bf16
            default: .f32
            }
        var bytes = try weights.elements(item.source, as: type)
        let rows = tensor.shape.first ?? 1
        if let headSize = item.interleavedHeadSize { bytes = Self.interleaved(bytes, rows: rows, headSize: headSize) }
        return tensor.type == .Q8_0 ? Q8Blocks.encoded(bytes) : bytes
    }

    /// Rows of heads as ggml wants them: row i of a head's first half before row i of its second half.
    private static func interleaved(_ bytes: Storage<UInt8>, rows: Int, headSize: Int) -> Storage<UInt8> {
        let rowByteCount = bytes.count / rows
        let output = AlignedBuffer<UInt8>(uninitializedCount: bytes.count)
        withExtendedLifetime(bytes) {
            for row in 0..<rows {
                let inHead = row % headSize
                let source = row - inHead + inHead / 2 + inHead % 2 * (headSize / 2)
                UnsafeMutableRawPointer(output.pointer + row * rowByteCount).copyMemory(
                    from: bytes.pointer + source * rowByteCount, byteCount: rowByteCount)
            }
        }
        return output.frozen()
    }
}

// MARK: - Metadata

extension GGUFExporter {
    private func missing(_ key: String) -> CheckpointError {
        CheckpointError(
            .missing, path: weights.checkpoint.path, subject: "\(key.quoted) in config.json",
            expected: "a positive number below 2^32", found: configuration[key]?.kindName ?? "none")
    }

    private func size(_ key: String) throws(CheckpointError) -> Int {
        guard let value = configuration[key]?.intValue, value > 0, value <= Int(UInt32.max) else { throw missing(key) }
        return value
    }

    private func addConfiguration(
        to metadata: inout GGUFMetadataWriter, rotary: Rotary
    ) throws(CheckpointError) {
        let prefix = architecture.name + "."
        for key in architecture.keys where key.configuration != "rope_theta" {
            let value = configuration[key.configuration] ?? key.fallback
            switch key.kind {
            case .size:
                guard let value = value?.intValue, value > 0, let size = UInt32(exactly: value) else {
                    throw missing(key.configuration)
                }
                metadata.add(prefix + key.gguf, size)
            case .number:
                guard let value = value?.doubleValue, value.isFinite else { throw missing(key.configuration) }
                metadata.add(prefix + key.gguf, Float(value))
            }
        }
        let heads = try size("num_attention_heads")
        metadata.add(prefix + "rope.freq_base", Float(rotary.base))
        let isGrouped = configuration.entry("num_key_value_heads") != .none
        metadata.add(prefix + "attention.head_count_kv", UInt32(isGrouped ? try size("num_key_value_heads") : heads))
        for key in ["rope.dimension_count", "attention.key_length", "attention.value_length"] {
            metadata.add(prefix + key, UInt32(rotary.headSize))
        }
        metadata.add(prefix + "vocab_size", UInt32(try size("vocab_size")))
        if let factor = rotary.linearFactor {
            metadata.add(prefix + "rope.scaling.type", "linear")
            metadata.add(prefix + "rope.scaling.factor", Float(factor))
        }
    }

    private func add(_ tokenizer: GGUFTokenizer, to metadata: inout GGUFMetadataWriter) {
        let prefix = "tokenizer.ggml."
        metadata.add(prefix + "model", tokenizer.model)
        if let pre = tokenizer.pre { metadata.add(prefix + "pre", pre) }
        metadata.add(prefix + "tokens", tokenizer.tokens)
        if !tokenizer.scores.isEmpty { metadata.add(prefix + "scores", tokenizer.scores) }
        if !tokenizer.tokenTypes.isEmpty {
            metadata.add(prefix + "token_type", tokenizer.tokenTypes.map { Int32(clamping: $0) })
        }
        if !tokenizer.merges.isEmpty { metadata.add(prefix + "merges", tokenizer.merges) }
        let ids = [
            ("bos", tokenizer.beginningID), ("eos", tokenizer.endID), ("eot", tokenizer.endOfTurnID),
            ("unknown", tokenizer.unknownID), ("padding", tokenizer.paddingID),
        ]
        for case (let key, let id?) in ids { metadata.add(prefix + key + "_token_id", UInt32(id)) }
        let flags = [
            ("add_bos_token", tokenizer.addsBeginning), ("add_eos_token", tokenizer.addsEnd),
            ("add_space_prefix", tokenizer.addsSpacePrefix),
        ]
        for case (let key, let flag?) in flags { metadata.add(prefix + key, flag) }
        if let template = tokenizer.chatTemplate { metadata.add("tokenizer.chat_template", template) }
    }
}

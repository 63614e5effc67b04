import OrderedCollections
import OrderedJSON

/// How folders of some model types store what others hold in matrices of their own: a row of the table ``all``.
///
/// Query, key and value may be one matrix, and gate and up another; GPT-2's matrices are stored transposed. Here they
/// become the plain matrices that other families have, so that pruning, packing and running know no others. A plain
/// matrix never has the name of a stored one: folders that we write hold plain ones, and open as they are.
struct FolderLayout: Sendable {
    /// In how many units of rows a part of a fused matrix is counted.
    enum Share: Sendable { case one, heads, keyValueHeads }

    /// A stored module of a layer and what becomes of it.
    struct Module: Sendable {
        let parts: [(name: String, share: Share)]
        let isTransposed: Bool
    }

    let modelTypes: Set<String>
    /// What the names of all tensors but the head begin with. Files of the model without its head leave it out; names
    /// that begin with one of `roots` are those.
    let prefix: String
    let roots: Set<String>
    /// Between the prefix and a layer's number.
    let layerPath: String
    let modules: [String: Module]
    /// Tensors of a layer that are no weights.
    let ignored: Set<String>

    private static let llamaLike = FolderLayout(
        modelTypes: ["llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma2", "gemma3_text"], prefix: "model.",
        roots: ["embed_tokens", "layers", "norm"], layerPath: "layers.", modules: [:],
        ignored: ["self_attn.rotary_emb.inv_freq"])

    private static let phi3 = FolderLayout(
        modelTypes: ["phi3"], prefix: "model.", roots: llamaLike.roots, layerPath: "layers.",
        modules: [
            "self_attn.qkv_proj": Module(
                parts: [
                    ("self_attn.q_proj", .heads), ("self_attn.k_proj", .keyValueHeads),
                    ("self_attn.v_proj", .keyValueHeads),
                ], isTransposed: false),
            "mlp.gate_up_proj": Module(parts: [("mlp.gate_proj", .one), ("mlp.up_proj", .one)], isTransposed: false),
        ], ignored: llamaLike.ignored)

    private static let opt = FolderLayout(
        modelTypes: ["opt"], prefix: "model.", roots: ["decoder"], layerPath: "decoder.layers.", modules: [:],
        ignored: [])

    private static let gpt2 = FolderLayout(
        modelTypes: ["gpt2"], prefix: "transformer.", roots: ["h", "ln_f", "wpe", "wte"], layerPath: "h.",
        modules: [
            "attn.c_attn": Module(
                parts: [("attn.q_proj", .one), ("attn.k_proj", .one), ("attn.v_proj", .one)], isTransposed: true),
            "attn.c_proj": Module(parts: [("attn.out_proj", .one)], isTransposed: true),
            "mlp.c_fc": Module(parts: [("mlp.fc_in", .one)], isTransposed: true),
            "mlp.c_proj": Module(parts: [("mlp.fc_out", .one)], isTransposed: true),
        ], ignored: ["attn.bias", "attn.masked_bias"])

    private static let all = [llamaLike, phi3, opt, gpt2]

    /// A folder's tensors in its order, those of the table's model types as plain ones.
    /// - Parameter turning: whether matrices whose rows are columns in folders are so here; GGUF files have rows.
    /// - Throws: `CheckpointError` for a fused tensor that cannot be cut as the configuration says, and if two tensors
    ///   have one name.
    static func plainTensors(
        of stored: OrderedDictionary<String, StoredTensor>, configuration: JSON, turning: Bool = true
    ) throws(CheckpointError) -> OrderedDictionary<String, StoredTensor> {
        guard let layout = describing(configuration) else { return stored }
        var plain: OrderedDictionary<String, StoredTensor> = [:]
        for tensor in stored.values {
            for part in try layout.parts(of: tensor, configuration: configuration, turning: turning) {
                let name = part.description.name
                guard plain.updateValue(part, forKey: name) == nil else {
                    throw CheckpointError(
                        .damaged, path: part.description.path, subject: "tensor \(tensor.description.name.quoted)",
                        expected: "a name of its own", found: "another tensor that is \(name.quoted)")
                }
            }
        }
        return plain
    }

    /// The row of the table for a model's type; nil if there is none.
    static func describing(_ configuration: JSON) -> FolderLayout? {
        configuration["model_type"]?.stringValue.flatMap { type in all.first { $0.modelTypes.contains(type) } }
    }

    /// The stored tensor that a plain one is part of; nil if it is stored as it is.
    func fusion(with plain: String) -> (name: String, FusedTensors.Fusion)? {
        guard let place = LayerName(plain, path: prefix + layerPath), let dot = place.rest.lastIndex(of: ".") else {
            return nil
        }
        let (module, suffix) = (place.rest[..<dot], place.rest[dot...])
        guard suffix == ".weight" || suffix == ".bias",
            let stored = modules.first(where: { $0.value.parts.contains { $0.name == module } })
        else { return nil }
        return (
            place.layer + stored.key + suffix,
            FusedTensors.Fusion(
                parts: stored.value.parts.map { place.layer + $0.name + suffix },
                isTransposed: stored.value.isTransposed && suffix == ".weight")
        )
    }

    private func parts(
        of tensor: StoredTensor, configuration: JSON, turning: Bool
    ) throws(CheckpointError) -> [StoredTensor] {
        let stored = tensor.description.name
        let root = stored.prefix { $0 != "." }
        let name = roots.contains(String(root)) ? prefix + stored : stored
        guard let place = LayerName(name, path: prefix + layerPath) else { return [tensor.named(name)] }
        if ignored.contains(place.rest) { return [] }
        guard let dot = place.rest.lastIndex(of: "."), let module = modules[String(place.rest[..<dot])] else {
            return [tensor.named(name)]
        }
        let suffix = place.rest[dot...]
        guard suffix == ".weight" || suffix == ".bias" else { return [tensor.named(name)] }
        let units = module.parts.map { $0.share.units(in: configuration) }
        let names = module.parts.map { place.layer + $0.name + suffix }
        let isTransposed = turning && module.isTransposed && suffix == ".weight"
        return try tensor.cut(into: Array(zip(names, units)), isTransposed: isTransposed)
    }
}

extension FolderLayout.Share {
    func units(in configuration: JSON) -> Int {
        // Other values than these are refused with the configuration, by its reader.
        func count(_ key: String) -> Int? {
            configuration[key]?.intValue.flatMap { $0 >= 1 && $0 <= 1 << 20 ? $0 : nil }
        }
        let heads = count("num_attention_heads") ?? 1
        return switch self {
        case .one: 1
        case .heads: heads
        case .keyValueHeads: count("num_key_value_heads") ?? heads
        }
    }
}

/// A tensor's name within a layer.
private struct LayerName {
    /// All before the name within the layer: "transformer.h.3."
    let layer: String
    /// "attn.c_attn.weight"
    let rest: String

    init?(_ name: String, path: String) {
        guard name.hasPrefix(path) else { return nil }
        let behind = name.dropFirst(path.count)
        guard let dot = behind.firstIndex(of: "."), let layer = Int(behind[..<dot]), layer >= 0,
            String(layer) == behind[..<dot]
        else { return nil }
        self.layer = path + behind[...dot]
        rest = String(behind[behind.index(after: dot)...])
    }
}

extension StoredTensor {
    func named(_ name: String) -> StoredTensor {
        if name == description.name { return self }
        return part(
            name, shape: description.shape, byteRange: byteRange, byteCount: description.byteCount, bitmask: bitmask)
    }

    private func part(
        _ name: String, shape: [Int], byteRange: Range<Int>, byteCount: Int? = nil,
        transposition: Transposition? = nil, bitmask: BitmaskTensor? = nil
    ) -> StoredTensor {
        StoredTensor(
            description: TensorDescription(
                name: name, shape: shape, encoding: description.encoding, byteCount: byteCount ?? byteRange.count,
                path: description.path),
            file: file, byteRange: byteRange, interleavedHeadSize: interleavedHeadSize, transposition: transposition,
            bitmask: bitmask)
    }

    /// The rows as several tensors below each other.
    /// - Parameter parts: names, and how many rows each has in relation to the others.
    fileprivate func cut(
        into parts: [(name: String, units: Int)], isTransposed: Bool
    ) throws(CheckpointError) -> [StoredTensor] {
        func damaged(_ expected: String) -> CheckpointError {
            CheckpointError(
                .damaged, path: description.path, subject: "tensor \(description.name.quoted)", expected: expected,
                found: "shape \(description.shape) of \(description.encoding.name)")
        }
        let isMatrix = description.shape.count == 2
        guard isMatrix || (description.shape.count == 1 && !isTransposed) else {
            throw damaged(isTransposed ? "a matrix" : "a matrix or a vector")
        }
        let rows = isTransposed ? description.shape[1] : description.shape[0]
        let columns = isTransposed ? description.shape[0] : description.columns
        let total = parts.reduce(0) { $0 + $1.units }
        guard total > 0, rows % total == 0 else { throw damaged("a multiple of \(total) rows in \(parts.count) parts") }
        if let bitmask { return try cut(bitmask, into: parts, rowsPerUnit: rows / total, isTransposed: isTransposed) }
        let encoding = description.encoding
        guard !isTransposed || encoding.elementsPerBlock == 1, byteRange.count % max(rows, 1) == 0 else {
            throw damaged("elements stored one by one, or rows of whole blocks")
        }
        let rowBytes = byteRange.count / max(rows, 1)
        var first = 0
        return parts.map { part in
            let count = rows / total * part.units
            defer { first += count }
            let shape = isMatrix ? [count, columns] : [count]
            if isTransposed {
                return self.part(
                    part.name, shape: shape, byteRange: byteRange, byteCount: count * rowBytes,
                    transposition: Transposition(storedColumns: rows, first: first))
            }
            let start = byteRange.lowerBound + first * rowBytes
            return self.part(part.name, shape: shape, byteRange: start..<start + count * rowBytes)
        }
    }

    /// The same of a matrix without its zeros.
    private func cut(
        _ bitmask: BitmaskTensor, into parts: [(name: String, units: Int)], rowsPerUnit: Int, isTransposed: Bool
    ) throws(CheckpointError) -> [StoredTensor] {
        guard !isTransposed, !bitmask.isVector else {
            throw CheckpointError(
                .unsupported, path: description.path, subject: "tensor \(description.name.quoted)",
                expected: isTransposed ? "a transposed matrix with its zeros" : "a vector with its zeros",
                found: "one without them")
        }
        var first = 0
        return parts.map { part in
            let count = rowsPerUnit * part.units
            defer { first += count }
            return self.part(
                part.name, shape: [count, bitmask.columns], byteRange: byteRange,
                byteCount: description.byteCount / bitmask.rows * count, bitmask: bitmask.from(row: first))
        }
    }
}

import OrderedCollections
import OrderedJSON

extension GGUFModel {
    /// How rotary frequencies are stretched, as config.json says it. Llama 3's way is not here: GGUF stores its factors
    /// as the tensor `rope_freqs.weight`.
    static func ropeScaling(
        _ file: GGUFFile, _ architecture: GGUFArchitecture, _ metadata: GGUFMetadata
    ) throws(CheckpointError) -> JSON? {
        let prefix = architecture.name + ".rope.scaling."
        func number(_ key: String) throws(CheckpointError) -> Double? {
            try metadata.optional(prefix + key, "a finite number", \.finiteValue)
        }
        let length = try metadata.optional(
            prefix + "original_context_length", "a positive integer", \.positiveValue)
        if architecture.scalings.contains(.longRope), file.tensors[RotaryTensors.short] != nil {
            return .object(try longRope(file, originalContext: length, attentionFactor: number("attn_factor")))
        }
        let type = try metadata.optional(prefix + "type", "a string", \.stringValue)
        guard let type, type != "none" else { return nil }
        var members: OrderedDictionary<String, JSON> = ["rope_type": .string(type)]
        let factor = try metadata.required(prefix + "factor", "a finite number", \.finiteValue)
        members["factor"] = .number(factor)
        if let length { members["original_max_position_embeddings"] = .integer(length) }
        guard type == "yarn" else { return .object(members) }
        for (key, member) in [("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")] {
            if let value = try number(key) { members[member] = .number(value) }
        }
        // llama.cpp's converter writes transformers' own factor; llama.cpp multiplies one of its own with another.
        if let whole = try number("yarn_attn_factor") {
            members["attention_factor"] = .number(whole)
        } else {
            let share = try number("yarn_log_multiplier") ?? 0
            let growth = GGUFTraits.yarnGrowth(factor) / (share == 0 ? 1 : GGUFTraits.yarnGrowth(factor, share))
            let besides = try number("attn_factor") ?? 1
            if share != 0 || besides != 1 { members["attention_factor"] = .number(besides * growth) }
        }
        return .object(members)
    }

    private static func longRope(
        _ file: GGUFFile, originalContext: Int?, attentionFactor: Double?
    ) throws(CheckpointError) -> OrderedDictionary<String, JSON> {
        var members: OrderedDictionary<String, JSON> = ["rope_type": "longrope"]
        for (name, member) in [(RotaryTensors.short, "short_factor"), (RotaryTensors.long, "long_factor")] {
            members[member] = .array(try numbers(name, in: file).map { .number(Double($0)) })
        }
        if let originalContext { members["original_max_position_embeddings"] = .integer(originalContext) }
        if let attentionFactor { members["attention_factor"] = .number(attentionFactor) }
        return members
    }

    /// As many as half of the widest head has.
    private static let numberLimit = 2048

    private static func numbers(_ name: String, in file: GGUFFile) throws(CheckpointError) -> [Float] {
        guard let tensor = file.tensors[name] else {
            throw CheckpointError(
                .missing, path: file.path, subject: "tensor \(name.quoted)", expected: "it beside its counterpart",
                found: "none of that name")
        }
        guard tensor.dimensions.count == 1, tensor.dimensions[0] <= numberLimit else {
            throw CheckpointError(
                .damaged, path: file.path, subject: "tensor \(name.quoted)",
                expected: "a vector of at most \(numberLimit) elements", found: "dimensions \(tensor.dimensions)")
        }
        let description = TensorDescription(
            name: name, shape: tensor.dimensions, encoding: tensor.type.encoding, byteCount: tensor.byteRange.count,
            path: file.path)
        let stored = StoredTensor(
            description: description, file: file.file, byteRange: tensor.byteRange, interleavedHeadSize: nil)
        var numbers = [Float](repeating: 0, count: tensor.dimensions[0])
        guard !numbers.isEmpty else { return [] }
        try stored.read(rows: 0..<description.rows, as: .f32, to: &numbers)
        return numbers
    }
}

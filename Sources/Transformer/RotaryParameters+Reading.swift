import OrderedJSON

extension RotaryParameters {
    /// Reads both spellings: `rope_theta` with `rope_scaling`, and `rope_parameters` that holds all.
    /// - Parameters:
    ///   - defaultBase: the base where there is no entry.
    ///   - context: the model's longest sequence; what scalings that say no original context begin with.
    init(_ json: JSON, defaultBase: Double = 10_000, context: Int? = nil) throws(ModelError) {
        let parameters = json.entry("rope_parameters")
        // Of models that rotate their layers differently.
        if let name = parameters?.objectValue?.first(where: { $0.value.objectValue != nil })?.key {
            throw ModelError(
                "rope_parameters in config.json", expected: "the same for all layers", found: "\"\(name)\"")
        }
        let section = RotarySection(json: json, section: parameters ?? json.entry("rope_scaling"), context: context)
        for place in [json, section.section] {
            let share = try RotarySection.number("partial_rotary_factor", in: place, default: 1)
            guard share == 1 else {
                throw ModelError("partial_rotary_factor in config.json", expected: "1", found: "\(share)")
            }
        }
        let top = try RotarySection.number("rope_theta", in: json, default: defaultBase)
        base = try RotarySection.number("rope_theta", in: parameters, default: top)
        scaling = try section.scaling(base: base)
    }

    /// Both ways in which a family's layers rotate: with a window, if they do so otherwise, and without.
    ///
    /// Older files say the window's base beside the other, newer ones hold a section for each kind of layers.
    static func all(
        _ json: JSON, family: Family, defaultBase: Double, context: Int
    ) throws(ModelError) -> (usual: RotaryParameters, window: RotaryParameters?) {
        guard let windowBase = family.defaultWindowBase else {
            return (try RotaryParameters(json, defaultBase: defaultBase, context: context), nil)
        }
        let sections = json.entry("rope_parameters")
        let kinds = ["full_attention", "sliding_attention"]
        let isNested = sections?.objectValue?.keys.contains(where: kinds.contains) ?? false
        var usual = json.objectValue ?? [:]
        if isNested { usual["rope_parameters"] = sections?.entry(kinds[0]) ?? .object([:]) }
        let base = try RotarySection.number("rope_local_base_freq", in: json, default: windowBase)
        let window: JSON = ["rope_parameters": (isNested ? sections?.entry(kinds[1]) : nil) ?? [:]]
        let parameters = (
            usual: try RotaryParameters(.object(usual), defaultBase: defaultBase, context: context),
            window: try RotaryParameters(window, defaultBase: base, context: context)
        )
        guard parameters.window.shortLimit == nil else {
            throw ModelError(
                "rope_parameters in config.json", expected: "no longrope in layers with a window", found: "longrope")
        }
        return parameters
    }

    /// Checks that there is a divisor for each pair of elements where pairs have divisors of their own.
    func check(headSize: Int) throws(ModelError) {
        guard case .longRope(let rope) = scaling else { return }
        for (key, factors) in [("short_factor", rope.shortFactors), ("long_factor", rope.longFactors)]
        where factors.count != headSize / 2 {
            throw ModelError(
                "\(key) in config.json", expected: "\(headSize / 2) numbers, for heads of \(headSize)",
                found: "\(factors.count)")
        }
    }
}

/// The part of a `config.json` that says how frequencies are stretched.
private struct RotarySection {
    let json: JSON
    let section: JSON?
    let context: Int?

    /// What lies outside is no scaling of a real model, and could make angles infinite.
    static let range = 1e-6...1e12

    static func number(
        _ key: String, in section: JSON?, default fallback: Double? = nil
    ) throws(ModelError) -> Double {
        guard let entry = section?.entry(key) else {
            if let fallback { return fallback }
            throw ModelError("\(key) of the rotary scaling in config.json", expected: "a number", found: "no entry")
        }
        return try number(entry, key)
    }

    private static func number(_ entry: JSON, _ key: String) throws(ModelError) -> Double {
        guard let value = entry.doubleValue, range.contains(value) else {
            throw ModelError(
                "\(key) in config.json", expected: "a number in 1e-6...1e12", found: String(entry.text().prefix(120)))
        }
        return value
    }

    private func number(_ key: String, default fallback: Double? = nil) throws(ModelError) -> Double {
        try Self.number(key, in: section, default: fallback)
    }

    func scaling(base: Double) throws(ModelError) -> RotaryScaling {
        let kind = section?["rope_type"]?.stringValue ?? section?["type"]?.stringValue ?? "default"
        switch kind {
        case "default": return .none
        case "linear": return .linear(factor: try number("factor"))
        case "llama3": return try llama3()
        // What the first files of Phi-3 called theirs.
        case "su", "longrope": return try longRope()
        case "yarn": return try section?.entry("short_factor") == nil ? yarn(base: base) : longRope()
        case "dynamic": return .dynamic(factor: try number("factor"))
        default:
            throw ModelError(
                "rope_type in config.json", expected: "default, linear, llama3, yarn, longrope or dynamic",
                found: "\"\(kind)\"")
        }
    }

    private func llama3() throws(ModelError) -> RotaryScaling {
        let low = try number("low_freq_factor")
        let high = try number("high_freq_factor")
        guard high > low else {
            throw ModelError("high_freq_factor in config.json", expected: "more than \(low)", found: "\(high)")
        }
        return .llama3(
            factor: try number("factor"), lowFrequency: low, highFrequency: high,
            originalContext: try number("original_max_position_embeddings"))
    }

    /// The entry outside the section is the newer one where both are there.
    private func originalContext() throws(ModelError) -> Double {
        let key = "original_max_position_embeddings"
        let inside = try number(key, default: context.map { Double($0) })
        return try Self.number(key, in: json, default: inside)
    }

    private func yarn(base: Double) throws(ModelError) -> RotaryScaling {
        guard base > 1 else {
            throw ModelError("rope_theta in config.json", expected: "more than 1 for yarn", found: "\(base)")
        }
        let original = try originalContext()
        let factor = try number("factor", default: context.map { Double($0) / original })
        let (fast, slow) = (try number("beta_fast", default: 32), try number("beta_slow", default: 1))
        guard fast >= slow else {
            throw ModelError("beta_fast in config.json", expected: "at least \(slow), beta_slow", found: "\(fast)")
        }
        func growth(_ share: Double) -> Double { if factor <= 1 { 1 } else { 0.1 * share * logarithm(factor) + 1 } }
        // 0 says that there is none.
        func share(_ key: String) throws(ModelError) -> Double? {
            guard let entry = section?.entry(key), entry.doubleValue != 0 else { return nil }
            return try Self.number(entry, key)
        }
        let (scale, scaleOfAll) = (try share("mscale"), try share("mscale_all_dim"))
        var usual = growth(1)
        if let scale, let scaleOfAll { usual = growth(scale) / growth(scaleOfAll) }
        let entry = section?.entry("truncate") ?? true
        guard let truncates = entry.boolValue else {
            throw ModelError("truncate in config.json", expected: "true or false", found: entry.text())
        }
        return .yarn(
            .init(
                factor: factor, originalContext: original, fastTurns: fast, slowTurns: slow, truncates: truncates,
                attentionFactor: try number("attention_factor", default: usual)))
    }

    private func longRope() throws(ModelError) -> RotaryScaling {
        let original = try originalContext()
        guard original >= 2, let tokens = Int(exactly: original) else {
            throw ModelError(
                "original_max_position_embeddings in config.json", expected: "a whole number of at least 2",
                found: "\(original)")
        }
        let factor = try number("factor", default: context.map { Double($0) / original } ?? 1)
        let growth: Double = 1 + logarithm(factor) / logarithm(original)
        let usual = factor <= 1 ? 1 : growth.squareRoot()
        return .longRope(
            .init(
                shortFactors: try numbers("short_factor"), longFactors: try numbers("long_factor"),
                originalContext: tokens, attentionFactor: try number("attention_factor", default: usual)))
    }

    private func numbers(_ key: String) throws(ModelError) -> [Double] {
        guard let entry = section?.entry(key) else {
            throw ModelError("\(key) of the rotary scaling in config.json", expected: "numbers", found: "no entry")
        }
        // As many as half of the widest head has.
        guard let entries = entry.arrayValue, entries.count <= 2048 else {
            throw ModelError("\(key) in config.json", expected: "a list of numbers", found: entry.kindName)
        }
        var values: [Double] = []
        for entry in entries { values.append(try Self.number(entry, key)) }
        return values
    }
}

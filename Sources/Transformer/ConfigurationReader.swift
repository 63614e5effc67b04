import OrderedJSON

/// Takes single entries from a `config.json` that may say anything.
struct ConfigurationReader {
    let json: JSON

    /// - Parameter family: what it takes where config.json has no entry; one that is null says that there is none.
    init(_ json: JSON, family: Family) {
        var members = json.objectValue ?? [:]
        for (key, value) in family.defaults where members[key] == nil { members[key] = value }
        self.json = .object(members)
    }

    /// Limit far above every real model's sizes, so that no product of sizes can overflow or ask for absurd memory.
    static let sizeLimit = 1 << 20

    /// An entry that is there and not null.
    func entry(_ key: String) -> JSON? { json.entry(key) }

    func integer(
        _ key: String, default fallback: Int? = nil, least: Int = 1, limit: Int = sizeLimit
    ) throws(ModelError) -> Int {
        guard let entry = entry(key) else {
            guard let fallback else { throw error(key, expected: "an integer", found: "no entry") }
            return fallback
        }
        guard let value = entry.intValue, value >= least, value <= limit else {
            throw error(key, expected: "an integer in \(least)...\(limit)", found: entry.text())
        }
        return value
    }

    func flag(_ key: String, default fallback: Bool) throws(ModelError) -> Bool {
        guard let entry = entry(key) else { return fallback }
        guard let value = entry.boolValue else { throw error(key, expected: "true or false", found: entry.text()) }
        return value
    }

    func flag(_ choice: Family.Choice) throws(ModelError) -> Bool {
        guard let key = choice.key else { return choice.fallback }
        return try flag(key, default: choice.fallback)
    }

    /// A positive number; nil if there is no entry, or the family has no such key.
    func number(_ key: String?) throws(ModelError) -> Float? {
        guard let key, let entry = entry(key) else { return nil }
        let range = 1e-6...1e12
        guard let value = entry.doubleValue, range.contains(value) else {
            throw error(key, expected: "a number in 1e-6...1e12", found: entry.text())
        }
        return Float(value)
    }

    func require(_ key: String, _ condition: Bool, expected: String, found: String) throws(ModelError) {
        if !condition { throw error(key, expected: expected, found: found) }
    }

    func error(_ key: String, expected: String, found: String) -> ModelError {
        ModelError("\(key) in config.json", expected: expected, found: String(found.prefix(120)))
    }

    /// Which layers rotate queries and keys.
    func rotatingLayers(_ family: Family, layerCount: Int) throws(ModelError) -> [Bool] {
        guard case .rotary = family.positions else { return Array(repeating: false, count: layerCount) }
        guard let interval = family.defaultRotationInterval else { return Array(repeating: true, count: layerCount) }
        if let entry = entry("no_rope_layers") {
            let flags = entry.arrayValue?.prefix(layerCount).map { $0.intValue ?? ($0.boolValue == true ? 1 : -1) }
            guard let flags, flags.count == layerCount, flags.allSatisfy({ $0 == 0 || $0 == 1 }) else {
                throw error(
                    "no_rope_layers", expected: "0 or 1 for each of \(layerCount) layers", found: entry.text())
            }
            return flags.map { $0 == 1 }
        }
        let every = try integer("no_rope_layer_interval", default: interval)
        return (0..<layerCount).map { ($0 + 1) % every != 0 }
    }

    /// How many of the last tokens each layer looks at, be they more than there can be; nil for all.
    func windows(_ family: Family, layerCount: Int, rotating: [Bool]) throws(ModelError) -> [Int?] {
        let listed = try slidingLayers(layerCount)
        let size: Int?
        let usual: [Bool]
        switch family.windows {
        case .none:
            (size, usual) = (nil, [])
        case .all(let defaultSize):
            // An entry that is null says that there is none.
            size = json["sliding_window"] == nil ? defaultSize : try window()
            usual = Array(repeating: true, count: layerCount)
            if let listed, size != nil, listed != usual {
                throw error("layer_types", expected: "a window in every layer", found: "some without")
            }
        case .upperLayers:
            let first = try integer("max_window_layers", default: 28, least: 0)
            size = try flag("use_sliding_window", default: false) ? try window() ?? 4096 : nil
            usual = (0..<layerCount).map { $0 >= first }
        case .allButOneIn(let interval):
            size = try window()
            let every = try integer("sliding_window_pattern", default: interval)
            usual = (0..<layerCount).map { ($0 + 1) % every != 0 }
        case .layersWithoutRotation:
            size = try flag("use_sliding_window", default: false) ? try window() : nil
            usual = rotating.map { !$0 }
        }
        guard let size else {
            if listed?.contains(true) == true {
                throw error(
                    "layer_types", expected: "full attention where no window is set", found: "sliding_attention")
            }
            return Array(repeating: nil, count: layerCount)
        }
        return (listed ?? usual).map { $0 ? size : nil }
    }

    private func window() throws(ModelError) -> Int? {
        entry("sliding_window") == nil ? nil : try integer("sliding_window", limit: 1 << 30)
    }

    /// What `layer_types` says; nil if it is not there.
    private func slidingLayers(_ layerCount: Int) throws(ModelError) -> [Bool]? {
        guard let entry = entry("layer_types") else { return nil }
        let names = entry.arrayValue?.map { $0.stringValue ?? "" } ?? []
        let known = ["full_attention", "sliding_attention"]
        guard names.count == layerCount, names.allSatisfy(known.contains) else {
            throw error(
                "layer_types", expected: "full_attention or sliding_attention for each of \(layerCount) layers",
                found: entry.text())
        }
        return names.map { $0 == known[1] }
    }
}

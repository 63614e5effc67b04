import OrderedCollections
import OrderedJSON

/// What a folder's `config.json` says about compressed weights.
///
/// Three spellings are in the wild: `sparsity_config` at the top (compressed-tensors 0.3), inside `compression_config`
/// (0.4 and 0.5) and inside `quantization_config` (0.6 to 0.14). From 0.15 on the library knows no sparse formats.
struct CompressionConfiguration: Sendable {
    /// How sparse matrices lie in the files; nil if all weights are plain.
    let layout: BitmaskLayout?
    /// The configuration without the sections that speak of compression: what holds for the weights as they are read.
    let plainConfiguration: JSON

    private static let sparsityKey = "sparsity_config"
    /// Sections that describe how weights are stored.
    private static let sections = ["quantization_config", "compression_config", "sparseml_quantization_config"]
    static let keys = sections + [sparsityKey]
    /// Values of `quant_method` under which nothing but ``sparsityKey`` may stand.
    private static let methods = ["compressed-tensors", "sparseml"]

    /// - Throws: `CheckpointError` naming the format if weights are stored in one that is not read.
    init(_ configuration: JSON, folder path: String) throws(CheckpointError) {
        var members = configuration.objectValue ?? [:]
        var formats: [(key: String, name: String)] = []
        for key in Self.sections {
            guard let section = try Self.object(members[key], key, path) else { continue }
            if let method = section["quant_method"]?.stringValue, !Self.methods.contains(method) {
                throw Self.unsupported(key, found: method.quoted, path)
            }
            let nested = try Self.object(section[Self.sparsityKey], "\(key).\(Self.sparsityKey)", path)
            if let groups = section["config_groups"], !groups.isNull, groups != .object([:]) {
                let format = section["format"]?.stringValue ?? "quantised matrices"
                throw Self.unsupported(key, found: format.quoted, path)
            }
            for entry in [section["format"], nested?["format"]] {
                if let name = entry?.stringValue { formats.append((key, name)) }
            }
        }
        if let format = try Self.object(members[Self.sparsityKey], Self.sparsityKey, path)?["format"]?.stringValue {
            formats.append((Self.sparsityKey, format))
        }
        var layout: BitmaskLayout?
        for (key, name) in formats where name != "dense" {
            guard let found = BitmaskLayout(rawValue: name), layout == nil || layout == found else {
                throw Self.unsupported(key, found: name.quoted, path)
            }
            layout = found
        }
        self.layout = layout
        for key in Self.keys { members[key] = nil }
        plainConfiguration = .object(members)
    }

    /// A section that says something; nil if it is missing, null or empty.
    private static func object(
        _ section: JSON?, _ key: String, _ path: String
    ) throws(CheckpointError) -> OrderedDictionary<String, JSON>? {
        guard let section, !section.isNull else { return nil }
        guard let members = section.objectValue else {
            throw CheckpointError(
                .damaged, path: path + "/" + ModelFolder.configurationName, subject: key.quoted, expected: "an object",
                found: section.kindName)
        }
        return members.isEmpty ? nil : members
    }

    private static func unsupported(_ key: String, found: String, _ path: String) -> CheckpointError {
        let readable = BitmaskLayout.allCases.map(\.rawValue).joined(separator: " or ")
        return CheckpointError(
            .unsupported, path: path + "/" + ModelFolder.configurationName, subject: key.quoted,
            expected: "plain weights, or compressed-tensors' \(readable)", found: found)
    }
}

/// The sparse formats of compressed-tensors, by its own names.
enum BitmaskLayout: String, Sendable, CaseIterable {
    /// Any number of values in a row; offsets say where each row's begin.
    case unstructured = "sparse-bitmask"
    /// Two values of every four columns, zeros among them.
    case twoOfFour = "sparse-24-bitmask"
}

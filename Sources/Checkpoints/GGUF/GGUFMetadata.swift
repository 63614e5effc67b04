/// Typed access to a GGUF file's metadata, with errors that name the key.
struct GGUFMetadata {
    private let file: GGUFFile

    init(_ file: GGUFFile) { self.file = file }

    func damaged(_ key: String, expected: String, found: String) -> CheckpointError {
        CheckpointError(
            .damaged, path: file.path, subject: "metadata \(key.quoted)", expected: expected, found: found)
    }

    func missing(_ key: String, _ expected: String) -> CheckpointError {
        CheckpointError(
            .missing, path: file.path, subject: "metadata \(key.quoted)", expected: expected, found: "no such key")
    }

    /// The value behind `key`; nil if there is none.
    /// - Throws: `CheckpointError` if `convert` makes nothing of it.
    func optional<Value>(
        _ key: String, _ expected: String, _ convert: (GGUFValue) -> Value?
    ) throws(CheckpointError) -> Value? {
        guard let value = file.metadata[key] else { return nil }
        guard let converted = convert(value) else {
            throw damaged(key, expected: expected, found: value.kindName)
        }
        return converted
    }

    func required<Value>(
        _ key: String, _ expected: String, _ convert: (GGUFValue) -> Value?
    ) throws(CheckpointError) -> Value {
        guard let value = try optional(key, expected, convert) else { throw missing(key, expected) }
        return value
    }

    /// The strings of the array behind `key`; nil if there is no such key.
    func strings(_ key: String) throws(CheckpointError) -> [String]? {
        guard let array = try optional(key, "an array of strings", \.arrayValue) else { return nil }
        guard let strings = try array.strings() else {
            throw damaged(key, expected: "an array of strings", found: "an array of \(array.elementType)")
        }
        return strings
    }
}

import Checkpoints

/// A text that a person names.
enum TextFile {
    /// - Throws: `CheckpointError` if the file cannot be read; `CommandFailure` if it is not UTF-8.
    static func read(_ path: String) throws -> String {
        let bytes = try Checkpoint.fileBytes(path)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(path) is not valid UTF-8")
        }
        return text
    }
}

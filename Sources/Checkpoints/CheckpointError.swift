public import Tensors

/// Why a checkpoint cannot be read or written: one sentence that names the file, the part of it, what was expected
/// there and what was found.
public struct CheckpointError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// The operating system refused: no such file, no permission, no space.
        case system
        /// The bytes contradict their format.
        case damaged
        /// Something that must be there is not.
        case missing
        /// The file is well formed and says something that we do not read.
        case unsupported
        /// A weight is NaN or infinite, or becomes infinite in the type asked for.
        case notFinite
        /// The target of a write is taken.
        case conflict
    }

    public let kind: Kind
    public let path: String
    /// The part of the file; for ``Kind/system`` what was tried.
    public let subject: String
    public let expected: String
    public let found: String

    public init(_ kind: Kind, path: String, subject: String, expected: String, found: String) {
        self.kind = kind
        self.path = path
        self.subject = subject
        self.expected = expected
        self.found = found
    }

    public init(_ error: FileError) {
        self.init(.system, path: error.path, subject: error.operation, expected: "", found: error.reason)
    }

    public var description: String {
        switch kind {
        case .system: "cannot \(subject) \(path): \(found)"
        default: "\(path): \(subject): expected \(expected), found \(found)"
        }
    }
}

extension String {
    /// This text in quotation marks for an error message: names come from hostile files, so that long ones are cut and
    /// control characters, which a terminal might obey, are replaced.
    var quoted: String {
        let limit = 120
        var text = ""
        var length = 0
        for scalar in unicodeScalars {
            if length == limit { return "\"\(text)...\"" }
            let isControl =
                scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
            text.unicodeScalars.append(isControl ? "\u{FFFD}" : scalar)
            length += 1
        }
        return "\"\(text)\""
    }
}

/// What a file's content must hash to. It names the file in the cache, too.
public enum ContentDigest: Sendable, Hashable {
    /// Of large files: the SHA-256 of the content.
    case sha256(String)
    /// Of small files: Git's name for them, the SHA-1 of "blob", the size and the content.
    case gitBlob(String)

    /// Lower-case hexadecimal digits: 64 or 40.
    public var text: String {
        switch self {
        case .sha256(let text), .gitBlob(let text): text
        }
    }

    var algorithm: String {
        switch self {
        case .sha256: "SHA-256"
        case .gitBlob: "Git's SHA-1"
        }
    }
}

/// A file of a repository at one commit.
public struct RepositoryFile: Sendable, Hashable {
    /// Relative, with `/` between folders; checked to stay inside the folder that it is put into.
    public let path: String
    public let byteCount: Int
    public let digest: ContentDigest

    /// The last component of the path.
    public var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// Whether it lies in a folder of the repository.
    var isNested: Bool { path.contains("/") }
}

/// What a repository holds at one commit, from the hub's answer.
public struct RepositoryListing: Sendable, Equatable {
    /// 40 hexadecimal digits.
    public let commit: String
    public let files: [RepositoryFile]

    public subscript(path: String) -> RepositoryFile? { files.first { $0.path == path } }

    /// More than any repository of a model has.
    static let fileLimit = 100_000
    /// 2^50 bytes: beyond any model, and far from where sums overflow.
    static let byteLimit = 1 << 50
    /// The answer has some 200 bytes for each file, and the model's card and template beside them.
    static let answerByteLimit = 64 << 20
}

import Terminal

/// Why something about a repository on the hub failed, without its name, which ``HubError/repository(_:_:)`` adds.
///
/// Each case describes itself in one sentence. None holds a token.
public enum RepositoryError: Error, Equatable, Sendable {
    /// The text is not of the form `owner/name[@revision]`.
    case badName(String, reason: String)
    /// An environment variable, or the file that it names, cannot be used.
    case badSetting(String, reason: String)
    /// None of the variables that say where the cache is has a value.
    case noCacheFolder
    /// The cache holds nothing of it; the name of what it holds that is most like it.
    case notInCache(nearest: String?)
    /// The cache lacks something of it.
    case incomplete(missing: String)
    /// The cache holds several GGUF files of it; their absolute paths.
    case severalCached([String])
    /// The hub must not be asked, and `missing`, or all of it, is not in the cache.
    case offline(missing: String?)
    /// The hub wants a token, or refuses the one that it got.
    case denied(host: String, hasToken: Bool, isGated: Bool)
    /// The hub does not accept the token.
    case badToken(host: String)
    case notFound(host: String, hasToken: Bool)
    case noRevision(host: String)
    /// An answer that no other case is for.
    case refused(host: String, status: Int, what: String)
    /// Connections fail or break.
    case unreachable(host: String, reason: String)
    /// The server is overloaded, or asks for more patience than we have.
    case busy(host: String, status: Int, waitSeconds: Int?)
    /// The server sent what makes no sense.
    case badAnswer(host: String, reason: String)
    /// The hub's list of files, or an index, is not acceptable.
    case badListing(reason: String)
    case noWeights(reason: String)
    /// There are several GGUF files.
    case chooseFile(known: [String])
    case unknownFile(String, nearest: String?, known: [String])
    /// Two downloads in a row did not have the content that the hub announced.
    case wrongContent(path: String, algorithm: String, expected: String, found: String)
    /// A file in the cache has not the content that its name promises.
    case damaged(path: String, reason: String)

    /// - Parameter name: the repository, as it was typed.
    func sentence(about name: String) -> String {
        let pull = "run 'flash-llm pull \(name)'"
        switch self {
        case .badName(let text, let reason):
            return "'\(text.printable)' is no repository's name (owner/name[@revision]): \(reason)"
        case .badSetting(let variable, let reason): return "\(variable) cannot be used: \(reason)"
        case .noCacheFolder:
            return "cannot tell where the hub's cache is: none of HF_HUB_CACHE, HF_HOME and HOME is set"
        case .notInCache(let nearest):
            return "there is no file or folder \(name), and the cache does not hold such a model: "
                + (nearest.map { "did you mean '\($0)'? (else \(pull))" } ?? pull)
        case .incomplete(let missing): return "the cache holds only a part of \(name), \(missing) is missing: \(pull)"
        case .severalCached(let paths):
            return "the cache holds several GGUF files of \(name): name one by its path: \(Self.list(paths))"
        case .offline(let missing):
            return (missing.map { "\($0) of " } ?? "")
                + "\(name) is not in the cache, and --offline or HF_HUB_OFFLINE forbids asking the hub"
        case .denied, .badToken, .notFound, .noRevision: return accessSentence(about: name)
        case .refused(let host, let status, let what):
            return "\(host) refused \(what) of \(name) with status \(status)"
        case .unreachable(let host, let reason):
            return "cannot reach \(host) for \(name): \(reason); the next pull goes on from what is there"
        case .busy(let host, let status, let wait):
            let patience = wait.map { ", and asks to wait for \(Format.wholeDuration(seconds: Double($0)))" } ?? ""
            return "\(host) is too busy for \(name) (status \(status)\(patience)): try again later"
        case .badAnswer(let host, let reason): return "\(host) sent a wrong answer about \(name): \(reason)"
        case .badListing(let reason): return "the list of files of \(name) is refused: \(reason)"
        case .noWeights(let reason): return "\(name) cannot be run: \(reason)"
        case .chooseFile(let known): return "\(name) has several GGUF files: choose one by --file: \(Self.list(known))"
        case .unknownFile(let wanted, let nearest, let known):
            return "\(name) has no one file '\(wanted.printable)'"
                + (nearest.map { ": did you mean '\($0.printable)'?" } ?? "")
                + (known.isEmpty ? "" : " (known: \(Self.list(known)))")
        case .wrongContent(let path, let algorithm, let expected, let found):
            return
                "\(path.printable) of \(name) arrived twice with the wrong content: expected \(algorithm) \(expected), "
                + "found \(found)"
        case .damaged(let path, let reason):
            return "the cached file \(path.printable) is damaged: \(reason); run 'flash-llm pull \(name) --force'"
        }
    }

    private func accessSentence(about name: String) -> String {
        let token = "put a token that may read it into HF_TOKEN"
        switch self {
        case .denied(let host, _, true):
            return "\(name) is gated: accept its licence at \(host)/\(name.prefix { $0 != "@" }) and \(token)"
        case .denied(let host, let hasToken, _):
            return hasToken
                ? "\(host) does not let your token read \(name): use one that may, or ask its owner"
                : "\(host) does not let everyone read \(name): \(token)"
        case .badToken(let host): return "\(host) does not accept your token (HF_TOKEN or the token file): renew it"
        case .notFound(let host, let hasToken):
            return "\(host) has no model \(name), or hides it: check the spelling"
                + (hasToken ? " and what your token may read" : ", and if it is private or gated, \(token)")
        case .noRevision(let host): return "\(host) has no such revision of \(name): check the name behind '@'"
        default: return "\(self)"
        }
    }

    /// At most ten of them, so that a sentence stays one.
    private static func list(_ paths: [String]) -> String {
        let shown = paths.prefix(10).map(\.printable).joined(separator: ", ")
        return paths.count > 10 ? "\(shown) and \(paths.count - 10) more" : shown
    }
}

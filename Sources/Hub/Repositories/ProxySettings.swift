#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The proxies that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case), as
/// curl and Python's clients understand them.
struct ProxySettings: Sendable, Equatable {
    struct Proxy: Sendable, Hashable {
        let host: String
        let port: Int
        let user: String?
        let password: Secret?
    }

    /// For `https` addresses.
    let secure: Proxy?
    /// For `http` addresses.
    let plain: Proxy?
    private let exceptions: [String]

    init(environment: [String: String]) {
        func value(_ name: String) -> String? {
            [name.lowercased(), name].lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
        }
        let all = value("ALL_PROXY")
        secure = (value("HTTPS_PROXY") ?? all).flatMap(Self.proxy)
        // The upper-case variable is what a web server would take a request's "Proxy" header for; curl ignores it, too.
        plain = (environment["http_proxy"].flatMap { $0.isEmpty ? nil : $0 } ?? all).flatMap(Self.proxy)
        exceptions = (value("NO_PROXY") ?? "").split(whereSeparator: { ", ".contains($0) }).map { $0.lowercased() }
    }

    /// The proxy between us and a server; nil if it is to be asked directly.
    func proxy(forScheme scheme: String, host: String) -> Proxy? {
        let host = host.lowercased()
        let isException = exceptions.contains { exception in
            if exception == "*" { return true }
            let suffix = exception.drop { $0 == "." }
            return host == suffix || host.hasSuffix("." + suffix)
        }
        return isException ? nil : scheme.lowercased() == "https" ? secure : plain
    }

    private static func proxy(_ text: String) -> Proxy? {
        let address = text.contains("://") ? text : "http://" + text
        // Only proxies that speak HTTP; a tunnel brings TLS to the server's own end.
        guard let parts = URLComponents(string: address), parts.scheme?.lowercased() == "http",
            let host = parts.host, !host.isEmpty
        else { return nil }
        return Proxy(host: host, port: parts.port ?? 80, user: parts.user, password: parts.password.map(Secret.init))
    }
}

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// An `http` or `https` address with a host.
struct WebAddress: Sendable, Equatable, CustomStringConvertible {
    let description: String
    /// Lower-case.
    let scheme: String
    /// Lower-case.
    let host: String
    let port: Int
    private let url: URL

    init?(_ text: String) {
        guard let url = URL(string: text) else { return nil }
        self.init(url)
    }

    private init?(_ url: URL) {
        guard let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme),
            let host = url.host?.lowercased(), !host.isEmpty
        else { return nil }
        self.url = url
        self.scheme = scheme
        self.host = host
        port = url.port ?? (scheme == "https" ? 443 : 80)
        description = url.absoluteString
    }

    /// Whether both are answered by the same server: only then may one see what was meant for the other.
    func isSameOrigin(as other: WebAddress) -> Bool {
        scheme == other.scheme && host == other.host && port == other.port
    }

    /// Where an answer's `Location` leads; nil where we do not follow: to other schemes, and from TLS to plain text.
    func redirected(to location: String) -> WebAddress? {
        guard let target = URL(string: location, relativeTo: url), let address = WebAddress(target.absoluteURL),
            !(scheme == "https" && address.scheme == "http")
        else { return nil }
        return address
    }

    /// `text` as a part of a path: everything but unreserved characters (RFC 3986) percent-encoded.
    static func encoded(_ text: String, keepingSlashes: Bool = false) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                bytes.append(byte)
            case UInt8(ascii: "/") where keepingSlashes: bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

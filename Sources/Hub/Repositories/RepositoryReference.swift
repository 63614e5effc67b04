/// A model repository on the hub at a revision, as people write it: `owner/name` or `owner/name@revision`.
///
/// Every part is fit for a path and, percent-encoded, for an address: nothing in it leads out of a folder.
public struct RepositoryReference: Sendable, Hashable, CustomStringConvertible {
    public let owner: String
    public let name: String
    /// A branch, a tag, a name such as `refs/pr/1`, or a commit.
    public let revision: String

    public static let defaultRevision = "main"
    /// The hub's limit for either part of a name.
    private static let longestPart = 96
    private static let longestRevision = 255

    /// - Throws: `RepositoryError.badName` that says which rule the text breaks.
    public init(_ text: String) throws(RepositoryError) {
        let halves = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = halves[0].split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else {
            throw .badName(text, reason: "it must have one '/', between owner and name")
        }
        for part in parts {
            if let reason = Self.complaint(about: part) { throw .badName(text, reason: reason) }
        }
        let revision = halves.count == 2 ? String(halves[1]) : Self.defaultRevision
        if let reason = Self.complaint(aboutRevision: revision) { throw .badName(text, reason: reason) }
        owner = parts[0]
        name = parts[1]
        self.revision = revision
    }

    /// What a person gave to be pulled.
    /// - Throws: `HubError` that tells paths from mistyped names.
    public static func pulled(_ text: String) throws(HubError) -> RepositoryReference {
        do throws(RepositoryError) { return try RepositoryReference(text) } catch {
            if let first = text.first, "./~".contains(first) { throw .notAName(path: text) }
            throw .repository(text, error)
        }
    }

    /// `owner/name`.
    public var repository: String { "\(owner)/\(name)" }

    /// As it is typed: without the revision if that is the usual one.
    public var description: String {
        revision == Self.defaultRevision ? repository : "\(repository)@\(revision)"
    }

    /// 40 hexadecimal digits name a commit; what they stand for never changes.
    public var isCommit: Bool { Self.isCommit(revision) }

    static func isCommit(_ text: String) -> Bool { HexadecimalDigest.isValid(text, digits: 40) }

    /// The hub's rules for owners and names.
    private static func complaint(about part: String) -> String? {
        guard !part.isEmpty, part.utf8.count <= longestPart else {
            return "owner and name must have 1 to \(longestPart) characters"
        }
        let isAllowed = part.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
            default: false
            }
        }
        guard isAllowed else { return "owner and name may have letters, digits, '-', '_' and '.'" }
        let edges = [part.first, part.last]
        guard !edges.contains("-"), !edges.contains(".") else {
            return "owner and name must not begin or end with '-' or '.'"
        }
        guard !part.contains("--"), !part.contains("..") else { return "'--' and '..' are not allowed" }
        guard !part.hasSuffix(".git") else { return "a name must not end with '.git'" }
        return nil
    }

    /// Git's rules for references (git-check-ref-format), which keep them fit for files below `refs`, too.
    private static func complaint(aboutRevision revision: String) -> String? {
        guard !revision.isEmpty, revision.utf8.count <= longestRevision else {
            return "the revision behind '@' must have 1 to \(longestRevision) bytes"
        }
        let forbidden = Set(" ~^:?*[\\\"<>|".unicodeScalars)
        let hasForbidden = revision.unicodeScalars.contains { scalar in
            scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) || forbidden.contains(scalar)
        }
        let components = revision.split(separator: "/", omittingEmptySubsequences: false)
        let hasBadComponent = components.contains { component in
            component.isEmpty || component.hasPrefix(".") || component.hasSuffix(".lock") || component.hasSuffix(".")
        }
        if hasForbidden || hasBadComponent || revision.contains("..") || revision.contains("@{") {
            return "the revision behind '@' is no name of a branch, tag or commit"
        }
        return nil
    }
}

/// Digests in the form in which the hub and its cache name files by them.
enum HexadecimalDigest {
    /// Whether `text` consists of exactly `digits` lower-case hexadecimal digits.
    static func isValid(_ text: String, digits: Int) -> Bool {
        text.utf8.count == digits
            && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    static func text(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

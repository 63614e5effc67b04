/// The headers of an answer that say something to us, parsed without trust.
struct AnswerHeaders: Sendable, Equatable {
    private let fields: [String: String]

    /// - Parameter fields: names in any case; of several equal ones the first counts.
    init(_ fields: some Sequence<(String, String)>) {
        var result: [String: String] = [:]
        for (name, value) in fields where result[name.lowercased()] == nil { result[name.lowercased()] = value }
        self.fields = result
    }

    subscript(name: String) -> String? { fields[name.lowercased()] }

    /// The commit that a file belongs to.
    var commit: String? { self["X-Repo-Commit"] }

    /// What the file's content is named by: the linked file's, else the answer's own.
    var contentTag: String? { (self["X-Linked-ETag"] ?? self["ETag"]).map(Self.normalised) }

    /// Size of the file that the answer links to.
    var linkedByteCount: Int? { self["X-Linked-Size"].flatMap(Self.wholeNumber) }

    var contentLength: Int? { self["Content-Length"].flatMap(Self.wholeNumber) }

    /// A tag without quotation marks and without the mark of weak ones, as `huggingface_hub` names files by it.
    static func normalised(_ tag: String) -> String {
        var text = tag[...]
        if text.hasPrefix("W/") { text = text.dropFirst(2) }
        while text.first == "\"" { text.removeFirst() }
        while text.last == "\"" { text.removeLast() }
        return String(text)
    }

    /// `Content-Range: bytes FIRST-LAST/TOTAL`; nil unless it is exactly that and makes sense. The total may be `*`.
    var contentRange: (bytes: Range<Int>, total: Int?)? {
        guard let text = self["Content-Range"], text.lowercased().hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst("bytes ".count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Self.wholeNumber(ends[0]), let last = Self.wholeNumber(ends[1]),
            first <= last, last < Int.max
        else { return nil }
        if parts[1] == "*" { return (first..<last + 1, nil) }
        guard let total = Self.wholeNumber(parts[1]), last < total else { return nil }
        return (first..<last + 1, total)
    }

    /// Seconds that the server asks to wait: `Retry-After` as a number, else the reset of an exhausted `RateLimit`
    /// (draft-ietf-httpapi-ratelimit-headers-09: `"api";r=0;t=55`).
    var waitSeconds: Int? {
        if let wait = self["Retry-After"].flatMap(Self.wholeNumber) { return wait }
        guard let limit = self["RateLimit"] else { return nil }
        var values: [Substring: Int] = [:]
        for parameter in limit.filter({ $0 != " " }).split(separator: ";").dropFirst() {
            let pair = parameter.split(separator: "=", maxSplits: 1)
            if pair.count == 2, let value = Self.wholeNumber(pair[1]) { values[pair[0]] = value }
        }
        return values["r"] == 0 ? values["t"] : nil
    }

    /// Digits only: no sign, no spaces, no overflow.
    private static func wholeNumber(_ text: some StringProtocol) -> Int? {
        guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }
}

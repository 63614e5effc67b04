/// Asks the hub: builds addresses, follows redirects, and keeps the token from everyone else.
struct HubClient: Sendable {
    let settings: HubSettings
    let transport: HTTPTransport
    private let endpoint: WebAddress

    /// The hub redirects once or twice; a loop is nobody's intention.
    private static let redirectLimit = 5

    init(settings: HubSettings, transport: HTTPTransport) throws(RepositoryError) {
        guard let endpoint = WebAddress(settings.endpoint) else {
            throw .badSetting("HF_ENDPOINT", reason: "it is no address")
        }
        self.settings = settings
        self.transport = transport
        self.endpoint = endpoint
    }

    var host: String { endpoint.host }

    /// A successful answer and how it was reached.
    struct Reached: Sendable {
        let answer: HTTPTransport.Answer
        /// Where redirects led.
        let address: WebAddress
        /// The headers of the first answer, which is the hub's own.
        let firstHeaders: AnswerHeaders
    }

    func listingAddress(of reference: RepositoryReference) -> WebAddress {
        address("/api/models/\(reference.repository)/revision/\(WebAddress.encoded(reference.revision))?blobs=true")
    }

    func address(of file: RepositoryFile, in reference: RepositoryReference, commit: String) -> WebAddress {
        address("/\(reference.repository)/resolve/\(commit)/\(WebAddress.encoded(file.path, keepingSlashes: true))")
    }

    /// Owners, names and commits need no encoding, and the rest is encoded: this is always an address.
    private func address(_ path: String) -> WebAddress {
        guard let address = WebAddress(settings.endpoint + path) else { preconditionFailure("\(path) is no address") }
        return address
    }

    /// Asks for what is at `address`.
    /// - Parameter range: bytes to ask for; nil for all. The server may send all the same.
    /// - Throws: `TransferFailure`, also for every status but 200 and 206.
    func get(_ address: WebAddress, range: Range<Int>? = nil) async throws(TransferFailure) -> Reached {
        var address = address
        var firstHeaders: AnswerHeaders?
        for _ in 0...Self.redirectLimit {
            let answer = try await transport.get(address, headers: headers(for: address, range: range))
            firstHeaders = firstHeaders ?? answer.headers
            switch answer.status {
            case 200, 206:
                return Reached(answer: answer, address: address, firstHeaders: firstHeaders ?? answer.headers)
            case 301, 302, 303, 307, 308:
                await answer.discard()
                guard let location = answer.headers["Location"], let target = address.redirected(to: location) else {
                    throw .unacceptable(reason: "\(address.host) redirects to nowhere that we would go")
                }
                address = target
            default:
                await answer.discard()
                if Task.isCancelled { throw .cancelled }
                throw .status(
                    answer.status, waitSeconds: answer.headers.waitSeconds, code: Self.code(answer.headers))
            }
        }
        throw .unacceptable(reason: "it redirects more than \(Self.redirectLimit) times")
    }

    private func headers(for address: WebAddress, range: Range<Int>?) -> [(String, String)] {
        // A compressed answer has neither the size nor the ranges that we count on.
        var headers = [("User-Agent", "flash-llm"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
        if let range { headers.append(("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")) }
        if let token = settings.token, address.isSameOrigin(as: endpoint) {
            headers.append(("Authorization", "Bearer \(token.text)"))
        }
        return headers
    }

    /// The hub's own word for why it refuses.
    private static func code(_ headers: AnswerHeaders) -> String? {
        if let code = headers["X-Error-Code"] { return code }
        return headers["X-Error-Message"] == "Invalid credentials in Authorization header" ? badTokenCode : nil
    }

    static let badTokenCode = "InvalidCredentials"
}

extension RepositoryError {
    /// What a transfer's last failure means to a person.
    /// - Parameter what: what was asked for: "the list of files", a path.
    init(_ failure: TransferFailure, host: String, hasToken: Bool, what: String) {
        switch failure {
        case .status(let status, let wait, let code):
            switch (status, code) {
            case (429, _), (408, _), (425, _), (500..., _): self = .busy(host: host, status: status, waitSeconds: wait)
            case (_, HubClient.badTokenCode): self = .badToken(host: host)
            case (_, "GatedRepo"): self = .denied(host: host, hasToken: hasToken, isGated: true)
            case (_, "RepoNotFound"): self = .notFound(host: host, hasToken: hasToken)
            case (_, "RevisionNotFound"): self = .noRevision(host: host)
            case (401, _), (403, _): self = .denied(host: host, hasToken: hasToken, isGated: false)
            case (404, nil) where what == Self.listName: self = .notFound(host: host, hasToken: hasToken)
            default: self = .refused(host: host, status: status, what: what)
            }
        case .connection(let reason), .untrusted(let reason): self = .unreachable(host: host, reason: reason)
        case .timedOut: self = .unreachable(host: host, reason: "it did not answer in time")
        case .cutShort: self = .unreachable(host: host, reason: "the connection breaks again and again")
        case .unacceptable(let reason): self = .badAnswer(host: host, reason: reason)
        case .cancelled: self = .unreachable(host: host, reason: "the transfer was stopped")
        }
    }

    static let listName = "the list of files"
}

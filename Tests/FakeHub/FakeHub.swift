import Synchronization

/// A hub on this machine, for tests: one server that lists and redirects, and one that large files lie on.
///
/// Both listen on the loopback only, on ports that the system chooses, and stop when the value goes.
public final class FakeHub: Sendable {
    public struct Request: Sendable {
        public enum Server: Sendable { case hub, files }
        public let server: Server
        /// Path and query, still encoded.
        public let target: String
        /// By lower-case names.
        public let headers: [String: String]
        /// How many requests for the same target the server had before.
        public let earlierCount: Int

        /// The range that is asked for; nil for all.
        public var range: Range<Int>? {
            guard let text = headers["range"], text.hasPrefix("bytes=") else { return nil }
            let ends = text.dropFirst("bytes=".count).split(separator: "-").compactMap { Int($0) }
            return ends.count == 2 ? ends[0]..<ends[1] + 1 : nil
        }
    }

    public struct Answer: Sendable {
        public var status: Int
        public var headers: [(String, String)]
        public var body: [UInt8]
        /// After this many bytes of the body the connection is closed; nil to send all.
        public var cutAfter: Int?
        /// After this many bytes of the body nothing comes until the client goes away.
        public var stallAfter: Int?
        /// Whether the body's length is announced.
        public var announcesLength = true

        public init(_ status: Int, headers: [(String, String)] = [], body: [UInt8] = []) {
            self.status = status
            self.headers = headers
            self.body = body
        }
    }

    /// Changes an answer, or replaces it. Called on threads of the servers.
    public typealias Hook = @Sendable (Request, Answer) -> Answer

    private let repositories: [FakeRepository]
    private let hook: Hook
    private let log = Mutex<[Request]>([])
    private let servers = Mutex<[LoopbackServer]>([])
    private let ports = Mutex<(hub: Int, files: Int)>((0, 0))

    public init(_ repositories: [FakeRepository], hook: @escaping Hook = { $1 }) throws {
        self.repositories = repositories
        self.hook = hook
        let hub = try LoopbackServer { [weak self] in self?.answer($0, $1, by: .hub) ?? Answer(503) }
        let files = try LoopbackServer { [weak self] in self?.answer($0, $1, by: .files) ?? Answer(503) }
        servers.withLock { $0 = [hub, files] }
        ports.withLock { $0 = (hub.port, files.port) }
    }

    deinit { stop() }

    public func stop() { for server in servers.withLock({ $0 }) { server.stop() } }

    /// What `HF_ENDPOINT` should be.
    public var endpoint: String { "http://127.0.0.1:\(ports.withLock { $0.hub })" }
    public var filesEndpoint: String { "http://127.0.0.1:\(ports.withLock { $0.files })" }

    public var requests: [Request] { log.withLock { $0 } }

    private func answer(_ target: String, _ headers: [String: String], by server: Request.Server) -> Answer {
        let request = log.withLock { log in
            let earlier = log.filter { $0.server == server && $0.target == target }.count
            let request = Request(server: server, target: target, headers: headers, earlierCount: earlier)
            log.append(request)
            return request
        }
        return hook(request, server == .hub ? hubAnswer(request) : filesAnswer(request))
    }

    private func hubAnswer(_ request: Request) -> Answer {
        for repository in repositories {
            for revision in repository.revisions + [repository.commit] {
                let encoded = revision.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "%2F")
                if request.target == "/api/models/\(repository.name)/revision/\(encoded)?blobs=true" {
                    let type = ("Content-Type", "application/json; charset=utf-8")
                    return Answer(200, headers: [type], body: Array(repository.listing.text().utf8))
                }
            }
            let start = "/\(repository.name)/resolve/\(repository.commit)/"
            guard request.target.hasPrefix(start) else { continue }
            let path = request.target.dropFirst(start.count)
            guard let file = repository.files.first(where: { $0.path == path }) else {
                return Answer(404, headers: [("X-Error-Code", "EntryNotFound")])
            }
            return resolved(file, of: repository, request)
        }
        let isKnown = repositories.contains { request.target.hasPrefix("/api/models/\($0.name)/") }
        return Answer(404, headers: [("X-Error-Code", isKnown ? "RevisionNotFound" : "RepoNotFound")])
    }

    private func resolved(_ file: FakeRepository.File, of repository: FakeRepository, _ request: Request) -> Answer {
        var headers = [("X-Repo-Commit", repository.commit)]
        guard file.isLarge else {
            var answer = Self.content(file.content, request)
            headers.append(("ETag", "\"\(file.blobIdentifier)\""))
            answer.headers += headers
            return answer
        }
        headers += [
            ("X-Linked-ETag", "\"\(file.sha256)\""), ("X-Linked-Size", "\(file.content.count)"),
            ("Location", "\(filesEndpoint)/\(file.sha256)?signature=secret"),
        ]
        return Answer(302, headers: headers, body: Array("Found. Redirecting".utf8))
    }

    private func filesAnswer(_ request: Request) -> Answer {
        let name = request.target.dropFirst().prefix { $0 != "?" }
        let file = repositories.flatMap(\.files).first { $0.isLarge && $0.sha256 == name }
        guard let file else { return Answer(404) }
        return Self.content(file.content, request)
    }

    /// All of a content, or the range that is asked for.
    public static func content(_ content: [UInt8], _ request: Request) -> Answer {
        guard let range = request.range else { return Answer(200, body: content) }
        guard range.lowerBound < content.count else {
            return Answer(416, headers: [("Content-Range", "bytes */\(content.count)")])
        }
        let clamped = range.clamped(to: 0..<content.count)
        let line = "bytes \(clamped.lowerBound)-\(clamped.upperBound - 1)/\(content.count)"
        return Answer(206, headers: [("Content-Range", line)], body: Array(content[clamped]))
    }
}

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// The one place that speaks HTTP: requests in, answers out. It follows no redirects and repeats nothing.
final class HTTPTransport: Sendable {
    /// The answer to a request, whose content is still on its way.
    struct Answer: Sendable {
        let status: Int
        let headers: AnswerHeaders
        fileprivate let body: HTTPClientResponse.Body

        /// Hands out the content piece by piece, until it ends or `take` returns false; then the connection is closed.
        func forEachPiece(_ take: ([UInt8]) async throws -> Bool) async throws {
            var pieces = body.makeAsyncIterator()
            while true {
                let piece: ByteBuffer?
                do { piece = try await pieces.next() } catch { throw TransferFailure(error) }
                if Task.isCancelled { throw TransferFailure.cancelled }
                guard let piece else { return }
                let bytes = piece.withUnsafeReadableBytes { Array($0) }
                guard try await take(bytes) else { return }
            }
        }

        /// The whole content.
        /// - Throws: `TransferFailure.unacceptable` if it is longer than `limit`.
        func content(limit: Int) async throws -> [UInt8] {
            var content: [UInt8] = []
            try await forEachPiece { piece in
                guard content.count + piece.count <= limit else {
                    throw TransferFailure.unacceptable(reason: "it is longer than \(limit) bytes")
                }
                content += piece
                return true
            }
            if let expected = headers.contentLength, expected != content.count { throw TransferFailure.cutShort }
            return content
        }

        /// Takes a content that nobody wants off the line, so that the connection can be used again, unless it is long.
        func discard() async {
            var remaining = 64 << 10
            try? await forEachPiece { piece in
                remaining -= piece.count
                return remaining > 0
            }
        }
    }

    private let settings: HubSettings
    private let timeouts: HTTPClient.Configuration.Timeout
    /// One for each proxy, and one for none: a client knows one only.
    private let clients = Mutex<[ProxySettings.Proxy?: HTTPClient]>([:])

    /// - Parameters:
    ///   - connectSeconds: how long a connection may take to be made.
    ///   - silenceSeconds: how long a server may send nothing.
    init(settings: HubSettings, connectSeconds: Double, silenceSeconds: Double) {
        self.settings = settings
        timeouts = HTTPClient.Configuration.Timeout(
            connect: .milliseconds(Int64(connectSeconds * 1000)), read: .milliseconds(Int64(silenceSeconds * 1000)))
    }

    /// Ends all connections. To be called once, after the last request.
    func shutDown() async {
        for client in clients.withLock({ Array($0.values) }) { try? await client.shutdown() }
    }

    /// - Throws: `TransferFailure`, never `status`.
    func get(_ address: WebAddress, headers: [(String, String)]) async throws(TransferFailure) -> Answer {
        var request = HTTPClientRequest(url: address.description)
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        do {
            let proxy = settings.proxies.proxy(forScheme: address.scheme, host: address.host)
            let response = try await client(proxy).execute(request, deadline: .distantFuture)
            return Answer(
                status: Int(response.status.code), headers: AnswerHeaders(response.headers.map { ($0.name, $0.value) }),
                body: response.body)
        } catch {
            throw TransferFailure(error)
        }
    }

    private func client(_ proxy: ProxySettings.Proxy?) -> HTTPClient {
        clients.withLock { clients in
            if let client = clients[proxy] { return client }
            var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow, timeout: timeouts)
            // Several ranges over one HTTP/2 connection would share its window, which is what limits them.
            configuration.httpVersion = .http1Only
            // What fails is tried again by our own policy.
            configuration.connectionPool.retryConnectionEstablishment = false
            if let file = settings.certificateFile {
                var tls = TLSConfiguration.makeClientConfiguration()
                tls.trustRoots = .file(file)
                configuration.tlsConfiguration = tls
            }
            configuration.proxy = proxy.map { proxy in
                .server(
                    host: proxy.host, port: proxy.port,
                    authorization: proxy.user.map { .basic(username: $0, password: proxy.password?.text ?? "") })
            }
            let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
            clients[proxy] = client
            return client
        }
    }
}

extension TransferFailure {
    /// What an error of the network libraries means, in words for a sentence.
    init(_ error: any Error) {
        switch error {
        case let failure as TransferFailure: self = failure
        case is CancellationError: self = .cancelled
        case let error as HTTPClientError: self.init(error)
        // Among them the end of the stream in the middle of an answer.
        case is HTTPParserError: self = .cutShort
        case let error as NIOConnectionError: self = .connection(reason: Self.reason(error))
        case let error as IOError: self = .connection(reason: FileSystem.message(error.errnoCode))
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: self = .untrusted(reason: Self.tlsReason(error))
        default: self = .connection(reason: "\(error)")
        }
    }

    private init(_ error: HTTPClientError) {
        switch error {
        case .cancelled: self = .cancelled
        case .readTimeout, .writeTimeout, .connectTimeout, .deadlineExceeded, .tlsHandshakeTimeout,
            .getConnectionFromPoolTimeout, .httpProxyHandshakeTimeout:
            self = .timedOut
        case .remoteConnectionClosed, .uncleanShutdown: self = .cutShort
        case .invalidProxyResponse, .proxyAuthenticationRequired:
            self = .untrusted(reason: "the proxy does not let it through")
        default: self = .connection(reason: error.shortDescription)
        }
    }

    private static func tlsReason(_ error: any Error) -> String {
        let text = "\(error)"
        let what =
            if text.contains("CERTIFICATE_VERIFY_FAILED") {
                "its certificate cannot be verified"
            } else if text.contains("failedToValidateHostname") {
                "its certificate is another server's"
            } else {
                // The library's word for the reason, without the places in its source.
                Self.word(after: "OPENSSL_internal:", in: text) ?? "the handshake failed"
            }
        return "no TLS connection: \(what) (SSL_CERT_FILE names certificates to trust)"
    }

    /// The letters, digits and underscores behind `mark`.
    static func word(after mark: String, in text: String) -> String? {
        guard let last = text.split(separator: mark, omittingEmptySubsequences: false).dropFirst().last else {
            return nil
        }
        let word = last.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        return word.isEmpty ? nil : String(word)
    }

    private static func reason(_ error: NIOConnectionError) -> String {
        if let failure = error.connectionErrors.first?.error {
            return (failure as? IOError).map { FileSystem.message($0.errnoCode) } ?? "\(failure)"
        }
        let isUnknown = error.dnsAError != nil || error.dnsAAAAError != nil
        return isUnknown ? "its name cannot be resolved" : "no connection can be made"
    }
}

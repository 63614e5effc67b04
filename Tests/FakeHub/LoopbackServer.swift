import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

// The system's functions by names that no method hides.
private let systemAccept = accept(_:_:_:)
private let systemSend = send(_:_:_:_:)

/// A client that goes away must not end the process.
#if canImport(Darwin)
private let noSignal: Int32 = 0
#else
private let noSignal = Int32(MSG_NOSIGNAL)
#endif

/// An HTTP/1.1 server on the loopback, one thread a connection: slow, simple, and able to misbehave.
final class LoopbackServer: Sendable {
    typealias Handler = @Sendable (_ target: String, _ headers: [String: String]) -> FakeHub.Answer

    let port: Int
    private let listener: Int32
    private let handler: Handler
    private let state = Mutex((isStopped: false, connections: Set<Int32>()))

    init(handler: @escaping Handler) throws {
        self.handler = handler
        let socket = try LoopbackSocket()
        guard listen(socket.descriptor, 64) == 0 else {
            let number = errno
            close(socket.descriptor)
            throw LoopbackSocket.Failure(call: "listen", number: number)
        }
        listener = socket.descriptor
        port = socket.port
        Thread.detachNewThread { [self] in accept() }
    }

    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Ends the listener and all connections; their threads notice.
    func stop() {
        let connections = state.withLock { state in
            state.isStopped = true
            return state.connections
        }
        for connection in connections { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    private func accept() {
        defer { close(listener) }
        while !isStopped {
            guard Self.isReadable(listener) else { continue }
            let connection = systemAccept(listener, nil, nil)
            guard connection >= 0 else { continue }
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
            state.withLock { _ = $0.connections.insert(connection) }
            Thread.detachNewThread { [self] in
                serve(connection)
                state.withLock { _ = $0.connections.remove(connection) }
                close(connection)
            }
        }
    }

    /// Whether there is something to read, or the other end is gone; waits for a moment, so that stopping is noticed.
    private static func isReadable(_ descriptor: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 20) > 0
    }

    private func serve(_ connection: Int32) {
        var received: [UInt8] = []
        while !isStopped {
            guard let head = readHead(connection, &received) else { return }
            let lines = head.split(separator: "\r\n")
            let words = lines.first?.split(separator: " ") ?? []
            guard words.count == 3 else { return }
            if words[0] == "CONNECT" {
                // It plays a proxy, and the server behind it.
                guard send(Array("HTTP/1.1 200 OK\r\n\r\n".utf8), connection) else { return }
                continue
            }
            guard words[0] == "GET" else { return }
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                let pair = line.split(separator: ":", maxSplits: 1)
                if pair.count == 2 { headers[pair[0].lowercased()] = String(pair[1].drop { $0 == " " }) }
            }
            guard send(handler(String(words[1]), headers), connection) else { return }
        }
    }

    /// The next request up to its empty line; nil if the client is gone.
    private func readHead(_ connection: Int32, _ received: inout [UInt8]) -> String? {
        while !isStopped {
            let text = String(decoding: received, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                received.removeFirst(text[..<end.upperBound].utf8.count)
                return String(text[..<end.lowerBound])
            }
            guard received.count < 64 << 10 else { return nil }
            guard Self.isReadable(connection) else { continue }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            received += buffer[..<count]
        }
        return nil
    }

    /// - Returns: whether the connection can take another request.
    private func send(_ answer: FakeHub.Answer, _ connection: Int32) -> Bool {
        var head = "HTTP/1.1 \(answer.status) Status\r\n"
        for (name, value) in answer.headers { head += "\(name): \(value)\r\n" }
        head += answer.announcesLength ? "Content-Length: \(answer.body.count)\r\n" : "Connection: close\r\n"
        let limit = answer.cutAfter ?? answer.stallAfter ?? answer.body.count
        guard send(Array((head + "\r\n").utf8), connection), send(Array(answer.body.prefix(limit)), connection) else {
            return false
        }
        if answer.stallAfter != nil { waitForTheEnd(of: connection) }
        return answer.cutAfter == nil && answer.stallAfter == nil && answer.announcesLength
    }

    private func send(_ bytes: [UInt8], _ connection: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count, !isStopped {
            let count = bytes.withUnsafeBytes {
                systemSend(connection, $0.baseAddress! + sent, bytes.count - sent, noSignal)
            }
            guard count > 0 else { return false }
            sent += count
        }
        return sent == bytes.count
    }

    private func waitForTheEnd(of connection: Int32) {
        var byte: UInt8 = 0
        while !isStopped {
            if Self.isReadable(connection), recv(connection, &byte, 1, 0) <= 0 { return }
        }
    }
}

import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A socket with a port of its own on the loopback; whoever makes it closes it.
struct LoopbackSocket {
    struct Failure: Error {
        let call: String
        let number: Int32
    }

    let descriptor: Int32
    let port: Int

    init() throws {
        #if canImport(Glibc)
        let stream = Int32(SOCK_STREAM.rawValue)
        #else
        let stream = SOCK_STREAM
        #endif
        descriptor = socket(AF_INET, stream, 0)
        guard descriptor >= 0 else { throw Failure(call: "socket", number: errno) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { [descriptor] pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0
            }
        }
        guard isBound else {
            let number = errno
            close(descriptor)
            throw Failure(call: "bind or getsockname", number: number)
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        port = Int(UInt16(bigEndian: address.sin_port))
    }
}

/// An address where nobody listens, and nobody else can begin to: a server that has stopped gives its port away, and
/// the next server on this machine may take it.
public final class DeadAddress: Sendable {
    private let socket: LoopbackSocket

    public init() throws { socket = try LoopbackSocket() }

    deinit { close(socket.descriptor) }

    public var endpoint: String { "http://127.0.0.1:\(socket.port)" }
}

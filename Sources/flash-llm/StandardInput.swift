#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

import ArgumentParser

enum StandardInput {
    static var isTerminal: Bool { isatty(0) == 1 }

    /// A prompt longer than this is a mistake, such as a piped disk image.
    private static let limitBytes = 64 << 20

    /// All of standard input, without its last line break.
    /// - Throws: if it is too long or not UTF-8.
    static func readText(source: String) throws -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(0, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 { throw CommandFailure("cannot read standard input: \(String(cString: strerror(errno)))") }
            if count == 0 { break }
            bytes += buffer[..<count]
            guard bytes.count <= limitBytes else {
                throw CommandFailure("\(source) on standard input is too long: expected at most \(limitBytes) bytes")
            }
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(source) on standard input is not valid UTF-8")
        }
        return text
    }
}

/// A failure of a command that is not some library's.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

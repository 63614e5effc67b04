#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
@testable import Checkpoints

/// A folder of its own for a test, removed with everything in it.
final class TemporaryFolder {
    let path: String

    init() {
        var template = Array("/tmp/flash-llm-tests-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "cannot create a folder in /tmp")
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { FileSystem.remove(path) }

    /// Writes `bytes` as the file `name` and gives its path.
    @discardableResult
    func write(_ bytes: [UInt8], to name: String) -> String {
        let target = path + "/" + name
        let descriptor = open(target, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        precondition(descriptor >= 0)
        bytes.withUnsafeBytes { try! FileSystem.write($0, to: descriptor, path: target) }
        close(descriptor)
        return target
    }

    @discardableResult
    func write(_ text: String, to name: String) -> String { write(Array(text.utf8), to: name) }

    func makeFolder(_ name: String) -> String {
        let target = path + "/" + name
        precondition(mkdir(target, 0o755) == 0)
        return target
    }

    func text(of name: String) throws -> String {
        let file = try FileSystem.map(path + "/" + name)
        return withExtendedLifetime(file) { String(decoding: file.bytes.buffer, as: UTF8.self) }
    }

    /// The names of all entries, hidden ones included.
    var entries: [String] { try! FileSystem.entries(of: path) }
}

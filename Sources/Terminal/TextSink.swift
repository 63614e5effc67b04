#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Where text is written: a file descriptor, or whatever a test hands in.
public struct TextSink: Sendable {
    private let writeText: @Sendable (String) -> Void

    public init(_ write: @escaping @Sendable (String) -> Void) { writeText = write }

    public func write(_ text: String) { writeText(text) }

    /// Writes to `descriptor` without a buffer in between, so that nothing is lost when the program stops at once.
    /// A failed write is dropped: there is nowhere left to report it to.
    public static func descriptor(_ descriptor: Int32) -> TextSink {
        TextSink { text in
            var text = text
            text.withUTF8 { bytes in
                var written = 0
                while written < bytes.count {
                    let count = systemWrite(descriptor, bytes.baseAddress! + written, bytes.count - written)
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { return }
                    written += count
                }
            }
        }
    }

    public static let standardOutput = descriptor(1)
    public static let standardError = descriptor(2)
}

/// The system's `write`, whose name `TextSink.write` hides inside the type.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

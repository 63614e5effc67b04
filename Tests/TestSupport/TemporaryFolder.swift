import Foundation

/// A folder of its own for a test, removed with everything in it.
public final class TemporaryFolder: Sendable {
    public let path: String

    public init() {
        let url = FileManager.default.temporaryDirectory.appending(path: "flash-llm-tests-\(UUID())")
        try! FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

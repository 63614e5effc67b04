/// One text file of the repository.
struct SourceFile {
    /// Relative to the package root, "/" between components.
    let path: String
    let lines: [Substring]
    /// The text without its comments and string literals, which become spaces: the same lines and columns, in bytes.
    let code: [UInt8]

    init(path: String, text: String) {
        self.path = path
        // By bytes: "\r\n" is one Character.
        lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Substring($0) }
        code =
            if path.hasSuffix(".swift") {
                CodeMask.swift(Array(text.utf8))
            } else if Self.endsLikeC(path) {
                CodeMask.c(Array(text.utf8))
            } else {
                Array(text.utf8)
            }
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    /// C, C++ or CUDA.
    var isC: Bool { Self.endsLikeC(path) }
    var isHeader: Bool { path.hasSuffix(".h") || path.hasSuffix(".cuh") }

    private static func endsLikeC(_ path: String) -> Bool {
        [".c", ".h", ".cpp", ".cu", ".cuh"].contains { path.hasSuffix($0) }
    }

    var components: [Substring] { path.split(separator: "/") }

    /// The masked code, line by line.
    var codeLines: [String] {
        code.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
    }
}

/// A place where the house style is broken.
struct Violation: Equatable, CustomStringConvertible {
    let path: String
    /// From 1.
    let line: Int
    let what: String

    init(_ path: String, _ line: Int, _ what: String) {
        self.path = path
        self.line = line
        self.what = what
    }

    var description: String { "\(path):\(line): \(what)" }
}

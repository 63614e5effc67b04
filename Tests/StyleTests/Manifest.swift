/// What Package.swift says about our targets.
struct Manifest {
    struct Target: Equatable {
        enum Kind: String, CaseIterable {
            case library = "target"
            case program = "executableTarget"
            case test = "testTarget"
        }

        let name: String
        let kind: Kind
        /// The folder with its files, relative to the package root.
        let path: String
        /// Names of targets of this package; products of others are left out.
        let dependencies: [String]
        /// In Package.swift, from 1.
        let line: Int

        /// What `import` calls it.
        var module: String { name.replacing("-", with: "_") }
        var isInHouse: Bool { path.hasPrefix("Sources/") }
    }

    let path: String
    let targets: [Target]

    /// Reads the calls of `.target(`, `.executableTarget(` and `.testTarget(`; names and dependencies must be literals.
    init(_ file: SourceFile) {
        path = file.path
        let source = file.lines.joined(separator: "\n").utf8.map(\.self)
        targets = Target.Kind.allCases.flatMap { kind in
            Self.calls(of: "." + kind.rawValue + "(", in: file.code).compactMap { range in
                Self.target(kind, source: Array(source[range]), code: Array(file.code[range])).map {
                    let line = 1 + file.code[..<range.lowerBound].count { $0 == UInt8(ascii: "\n") }
                    return Target(
                        name: $0.name, kind: kind, path: $0.path, dependencies: $0.dependencies, line: line)
                }
            }
        }
    }

    func target(named name: String) -> Target? { targets.first { $0.name == name } }

    /// The target whose folder holds the file; of nested folders the innermost.
    func target(ofFile path: String) -> Target? {
        targets.filter { path.hasPrefix($0.path + "/") }.max { $0.path.count < $1.path.count }
    }

    /// The arguments of every call that begins with `opening`, as ranges of bytes.
    private static func calls(of opening: String, in code: [UInt8]) -> [Range<Int>] {
        code.ranges(of: Array(opening.utf8)).map { $0.upperBound..<closing(in: code, from: $0.upperBound) }
    }

    /// The bracket that closes the one before `start`.
    private static func closing(in code: [UInt8], from start: Int) -> Int {
        var depth = 1
        for index in start..<code.count {
            switch code[index] {
            case UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
            if depth == 0 { return index }
        }
        return code.count
    }

    /// - Parameters:
    ///   - source: a call's arguments.
    ///   - code: the same with strings blanked, so that brackets and labels in them do not count.
    private static func target(
        _ kind: Target.Kind, source: [UInt8], code: [UInt8]
    ) -> (name: String, path: String, dependencies: [String])? {
        func string(_ label: String) -> String? {
            guard let range = code.firstRange(of: Array((label + ":").utf8)) else { return nil }
            return strings(in: source[range.upperBound...]).first
        }
        // A dependency's `name:` may only come after the target's own.
        guard let name = string("name") else { return nil }
        var dependencies: [String] = []
        if let range = code.firstRange(of: Array("dependencies: [".utf8)) {
            var list = Array(source[range.upperBound..<closing(in: code, from: range.upperBound)])
            let listCode = Array(code[range.upperBound..<range.upperBound + list.count])
            for product in calls(of: ".product(", in: listCode) {
                for index in product { list[index] = UInt8(ascii: " ") }
            }
            dependencies = strings(in: list[...])
        }
        let folder = kind == .test ? "Tests/" : "Sources/"
        return (name, string("path") ?? folder + name, dependencies)
    }

    /// The string literals in a list; names have no escapes.
    private static func strings(in source: ArraySlice<UInt8>) -> [String] {
        let parts = source.split(separator: UInt8(ascii: "\""), omittingEmptySubsequences: false)
        return stride(from: 1, to: parts.count, by: 2).map { String(decoding: parts[$0], as: UTF8.self) }
    }
}

/// Import declarations.
enum Imports {
    /// The module that a line of code imports, whole or in part; nil if it is no import.
    static func module(importedBy line: String) -> String? {
        guard line.contains("import ") else { return nil }
        var words = line.split { $0 == " " }.filter { !$0.hasPrefix("@") }
        let levels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
        while let first = words.first, levels.contains(first) { words.removeFirst() }
        guard words.first == "import", words.count >= 2 else { return nil }
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        let name = words.count >= 3 && kinds.contains(words[1]) ? words[2] : words[1]
        return String(name.prefix { $0 != "." && $0 != ";" })
    }
}

/// Rules that look at one line at a time, or at how many there are.
enum LineRules {
    /// Characters of one line, comments included.
    static let lineLimit = 120
    /// Lines of one Swift or C file.
    static let fileLimit = 500

    static func violations(in file: SourceFile) -> [Violation] {
        var found: [Violation] = []
        for (index, line) in file.lines.enumerated() {
            func report(_ what: String) { found.append(Violation(file.path, index + 1, what)) }
            // A URL cannot be broken.
            if line.count > lineLimit, !line.contains("://") {
                report("\(line.count) characters, at most \(lineLimit)")
            }
            if line.utf8.contains(UInt8(ascii: "\t")) { report("a tab") }
            if let last = line.last, last.isWhitespace { report("white space at the end of the line") }
            for note in openNotes where words(of: line).contains(where: { $0 == note }) {
                report("\(note): do it or file it")
            }
        }
        if let last = file.lines.last, !last.isEmpty {
            found.append(Violation(file.path, file.lines.count, "no line end at the end of the file"))
        }
        let lineCount = file.lines.count - 1
        if file.isSwift || file.isC, lineCount > fileLimit {
            found.append(Violation(file.path, lineCount, "\(lineCount) lines, at most \(fileLimit)"))
        }
        return found
    }

    /// Put together here so that this file keeps its own rule.
    static let openNotes = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]

    private static func words(of line: Substring) -> [Substring] {
        line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
    }
}

/// Rules about what library targets may call and import.
enum LibraryRules {
    /// Targets of the command line: they talk to people and may end the process.
    static let programs: Set<String> = ["flash-llm"]
    /// Targets next to the kernels: Foundation costs start-up time and memory, and they can do without.
    static let withoutFoundation: Set<String> = [
        "CUDA", "Scheduling", "Sparse", "Tensors", "Tokenizers", "Transformer",
    ]

    private static let swiftCalls = [
        "print", "debugPrint", "dump", "exit", "abort", "fatalError", "NSLog", "puts", "printf",
    ]
    private static let cCalls = ["printf", "fprintf", "puts", "exit", "_exit", "abort", "assert"]

    /// - Parameter target: the target under Sources that the file belongs to.
    static func violations(in file: SourceFile, target: String) -> [Violation] {
        if programs.contains(target) { return [] }
        let forbidden = file.isSwift ? swiftCalls : file.isC ? cCalls : []
        let codeLines = file.codeLines
        // A type may have a method of that name: `print` is a statement of chat templates.
        let own = Set(forbidden.filter { name in codeLines.contains { $0.contains("func \(name)(") } })
        var found: [Violation] = []
        for (index, line) in codeLines.enumerated() {
            for name in forbidden where !own.contains(name) && calls(name, in: line) {
                found.append(Violation(file.path, index + 1, "\(name)( in the library target \(target)"))
            }
            if withoutFoundation.contains(target), Imports.module(importedBy: line) == "Foundation" {
                found.append(Violation(file.path, index + 1, "import Foundation in \(target)"))
            }
        }
        return found
    }

    /// Whether `name(` stands in `line` as a call of the global function: no part of a longer name, no value's member.
    private static func calls(_ name: String, in line: String) -> Bool {
        let modules = ["Swift", "Foundation", "Glibc", "Musl", "Darwin"]
        for range in line.ranges(of: name + "(") {
            let before = line[..<range.lowerBound]
            guard let last = before.last else { return true }
            if last.isLetter || last.isNumber || last == "_" { continue }
            if last != "." || modules.contains(where: { before.hasSuffix($0 + ".") }) { return true }
        }
        return false
    }
}

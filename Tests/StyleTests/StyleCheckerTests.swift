import Testing

/// Planted violations, so that the checker cannot silently pass.
@Suite struct StyleCheckerTests {
    private static func lineFindings(_ text: String, path: String = "Sources/Sparse/A.swift") -> [String] {
        LineRules.violations(in: SourceFile(path: path, text: text)).map(\.description)
    }

    private static func libraryFindings(
        _ text: String, path: String = "Sources/Sparse/A.swift", target: String = "Sparse"
    ) -> [String] {
        LibraryRules.violations(in: SourceFile(path: path, text: text), target: target).map(\.description)
    }

    @Test func findsLongLines() {
        let limit = String(repeating: "x", count: 120)
        #expect(Self.lineFindings("\(limit)\n").isEmpty)
        #expect(
            Self.lineFindings("a\n// \(limit)\n") == ["Sources/Sparse/A.swift:2: 123 characters, at most 120"])
        #expect(Self.lineFindings("// https://\(limit)\n").isEmpty)
        // Characters, not bytes.
        #expect(Self.lineFindings("// " + String(repeating: "é", count: 117) + "\n").isEmpty)
    }

    @Test func findsLongFiles() {
        let lines = String(repeating: "x\n", count: 501)
        #expect(Self.lineFindings(lines) == ["Sources/Sparse/A.swift:501: 501 lines, at most 500"])
        #expect(Self.lineFindings(lines, path: "Sources/CKernels/a.inc.h").count == 1)
        #expect(Self.lineFindings(String(lines.dropLast(2))).isEmpty)
        #expect(Self.lineFindings(lines, path: "scripts/a").isEmpty)
    }

    @Test func findsTabsAndTrailingWhiteSpace() {
        #expect(Self.lineFindings("a\n\tb\n") == ["Sources/Sparse/A.swift:2: a tab"])
        #expect(Self.lineFindings("a \n") == ["Sources/Sparse/A.swift:1: white space at the end of the line"])
        #expect(Self.lineFindings("a\r\nb").count == 2)
        #expect(Self.lineFindings("a") == ["Sources/Sparse/A.swift:1: no line end at the end of the file"])
    }

    @Test(arguments: LineRules.openNotes) func findsOpenNotes(note: String) {
        #expect(Self.lineFindings("let a = 1  // \(note): more\n").count == 1)
        #expect(Self.lineFindings("let a\(note) = \"/tmp/\(note)\(note)\"\n").isEmpty)
    }

    @Test(arguments: ["print", "exit", "fatalError", "debugPrint"]) func findsOutputAndExits(name: String) {
        #expect(Self.libraryFindings("a\nif b { \(name)(c) }\n").count == 1)
        #expect(Self.libraryFindings("Swift.\(name)(c)\n").count == 1)
        #expect(Self.libraryFindings("\(name)(c)\n", target: "flash-llm").isEmpty)
        #expect(Self.libraryFindings("// \(name)(c)\nlet a = \"\(name)(c)\"; sink.\(name)(c); my\(name)(c)\n").isEmpty)
        #expect(Self.libraryFindings("func \(name)() {}\n\(name)()\n").isEmpty)
        #expect(Self.libraryFindings("preconditionFailure(\"a\")\n").isEmpty)
    }

    @Test func findsOutputInC() {
        let path = "Sources/CKernels/a.c"
        #expect(Self.libraryFindings("void f(void) { printf(\"a\"); }\n", path: path, target: "CKernels").count == 1)
        #expect(Self.libraryFindings("// printf(a)\n", path: path, target: "CKernels").isEmpty)
    }

    @Test(arguments: [
        "import Foundation", "public import Foundation", "@preconcurrency import Foundation",
        "import struct Foundation.Data",
    ]) func findsFoundationNearKernels(line: String) {
        #expect(Self.libraryFindings("\(line)\n") == ["Sources/Sparse/A.swift:1: import Foundation in Sparse"])
        #expect(Self.libraryFindings("\(line)\n", target: "Hub").isEmpty)
        #expect(Self.libraryFindings("// \(line)\n").isEmpty)
    }

    @Test func masksCommentsAndStrings() {
        let text = #"""
            let a = "x \(f("y") + "}") {" // {
            /* { /* } */ { */ let b = #"{ \" "# + """
                { " \#("{")
                """
            let c = 1
            """#
        let code = String(decoding: CodeMask.swift(Array(text.utf8)), as: UTF8.self)
        #expect(code.split(separator: "\n").count == text.split(separator: "\n").count)
        #expect(code.utf8.count == text.utf8.count)
        #expect(
            code.split(whereSeparator: \.isWhitespace) == ["let", "a", "=", "let", "b", "=", "+", "let", "c", "=", "1"])
        let c = "#define A { \\\n {\nint a = '{'; /* { */ char *b = \"\\\"{\"; // {\n"
        let masked = String(decoding: CodeMask.c(Array(c.utf8)), as: UTF8.self)
        #expect(masked.split(whereSeparator: \.isWhitespace) == ["int", "a", "=", ";", "char", "*b", "=", ";"])
    }
}

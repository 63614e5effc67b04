/// Blanks out what is not code, so that rules about code need no parser: every byte of a comment or a string literal,
/// its quotation marks included, becomes a space; line ends stay.
struct CodeMask {
    private let source: [UInt8]
    private var output: [UInt8]
    private var index = 0

    /// Swift: nested comments, plain, multi-line and raw strings. Interpolated expressions count as string.
    static func swift(_ source: [UInt8]) -> [UInt8] {
        var mask = CodeMask(source)
        while mask.index < source.count {
            if mask.isAt("//") {
                mask.blankLine()
            } else if mask.isAt("/*") {
                mask.blankComment(nested: true)
            } else if mask.current == UInt8(ascii: "\"") || mask.isAtRawString {
                mask.blankSwiftString()
            } else {
                mask.index += 1
            }
        }
        return mask.output
    }

    /// C and C++: comments, strings, characters, and preprocessor lines, whose braces need not be balanced.
    static func c(_ source: [UInt8]) -> [UInt8] {
        var mask = CodeMask(source)
        var isLineStart = true
        while mask.index < source.count {
            let byte = mask.current
            if mask.isAt("//") {
                mask.blankLine()
            } else if mask.isAt("/*") {
                mask.blankComment(nested: false)
            } else if mask.isAt("R\"(") {
                mask.blankRawC()
            } else if byte == UInt8(ascii: "'"), mask.isInNumber {
                mask.index += 1
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                mask.blankQuoted(by: byte)
            } else if byte == UInt8(ascii: "#") && isLineStart {
                mask.blankDirective()
            } else {
                if byte == UInt8(ascii: "\n") { isLineStart = true } else if byte > 32 { isLineStart = false }
                mask.index += 1
            }
        }
        return mask.output
    }

    private init(_ source: [UInt8]) {
        self.source = source
        output = source
    }

    private var current: UInt8 { source[index] }

    private func isAt(_ text: StaticString) -> Bool {
        guard index + text.utf8CodeUnitCount <= source.count else { return false }
        return (0..<text.utf8CodeUnitCount).allSatisfy { source[index + $0] == text.utf8Start[$0] }
    }

    private mutating func blank(_ count: Int) {
        for place in index..<min(index + count, source.count) where source[place] != UInt8(ascii: "\n") {
            output[place] = UInt8(ascii: " ")
        }
        index = min(index + count, source.count)
    }

    private mutating func blankLine() {
        while index < source.count, current != UInt8(ascii: "\n") { blank(1) }
    }

    private mutating func blankDirective() {
        while index < source.count {
            if isAt("\\\n") {
                blank(2)
            } else if current == UInt8(ascii: "\n") {
                return
            } else {
                blank(1)
            }
        }
    }

    private mutating func blankComment(nested: Bool) {
        var depth = 0
        while index < source.count {
            if isAt("/*"), nested || depth == 0 {
                depth += 1
                blank(2)
            } else if isAt("*/") {
                depth -= 1
                blank(2)
                if depth == 0 { return }
            } else {
                blank(1)
            }
        }
    }

    private mutating func blankQuoted(by quote: UInt8) {
        blank(1)
        while index < source.count, current != quote, current != UInt8(ascii: "\n") {
            blank(current == UInt8(ascii: "\\") ? 2 : 1)
        }
        blank(1)
    }

    /// C++'s raw strings, all of which we write without a delimiter.
    private mutating func blankRawC() {
        while index < source.count, !isAt(")\"") { blank(1) }
        blank(2)
    }

    /// Whether the mark stands between digits of a number, as in 1'000.
    private var isInNumber: Bool {
        guard index > 0, index + 1 < source.count else { return false }
        return [source[index - 1], source[index + 1]].allSatisfy { (48...57).contains($0) }
    }

    private var isAtRawString: Bool {
        var place = index
        while place < source.count, source[place] == UInt8(ascii: "#") { place += 1 }
        return place > index && place < source.count && source[place] == UInt8(ascii: "\"")
    }

    private mutating func blankSwiftString() {
        var hashes = 0
        while current == UInt8(ascii: "#") {
            hashes += 1
            blank(1)
        }
        let isMultiLine = isAt("\"\"\"")
        blank(isMultiLine ? 3 : 1)
        while index < source.count {
            if current == UInt8(ascii: "\\"), hasHashes(hashes, from: index + 1) {
                blank(1 + hashes)
                if index < source.count, current == UInt8(ascii: "(") { blankInterpolation() } else { blank(1) }
            } else if isMultiLine ? isAt("\"\"\"") : current == UInt8(ascii: "\""),
                hasHashes(hashes, from: index + (isMultiLine ? 3 : 1))
            {
                blank((isMultiLine ? 3 : 1) + hashes)
                return
            } else if current == UInt8(ascii: "\n"), !isMultiLine {
                return
            } else {
                blank(1)
            }
        }
    }

    private func hasHashes(_ count: Int, from place: Int) -> Bool {
        place + count <= source.count && source[place..<place + count].allSatisfy { $0 == UInt8(ascii: "#") }
    }

    /// From the opening to the closing parenthesis, strings in it included.
    private mutating func blankInterpolation() {
        var depth = 0
        while index < source.count {
            if current == UInt8(ascii: "\"") || isAtRawString {
                blankSwiftString()
                continue
            }
            if current == UInt8(ascii: "(") { depth += 1 }
            if current == UInt8(ascii: ")") { depth -= 1 }
            blank(1)
            if depth == 0 { return }
        }
    }
}

/// Cuts a template into tokens the way jinja2's lexer does with `trim_blocks` and `lstrip_blocks` on.
///
/// The whitespace rules are the heart of it, because every space of a prompt counts:
/// - one newline right after `%}`, `#}` or an `endraw` tag is dropped, unless the tag ends with `+`;
/// - blanks between the start of a line and `{%` or `{#` are dropped, unless the tag starts with `+`;
/// - `-` inside any delimiter drops all whitespace on that side;
/// - `\r\n` and `\r` become `\n`, and one newline at the very end of the template is dropped.
struct TemplateLexer {
    let source: [Unicode.Scalar]
    var position = 0
    var line = 1
    var tokens: [TemplateToken] = []
    /// Whether the last thing consumed ended with a newline, so that the text ahead starts a line.
    private var isLineStart = true

    /// - Complexity: O(length of `text`).
    static func tokens(of text: String) throws(ChatTemplateError) -> [TemplateToken] {
        var lexer = TemplateLexer(source: normalizedNewlines(text))
        while lexer.position < lexer.source.count { try lexer.text() }
        lexer.append(.end)
        return lexer.tokens
    }

    private init(source: [Unicode.Scalar]) { self.source = source }

    private static func normalizedNewlines(_ text: String) -> [Unicode.Scalar] {
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(text.unicodeScalars.count)
        var previous: Unicode.Scalar = "\0"
        for scalar in text.unicodeScalars {
            if scalar == "\r" {
                scalars.append("\n")
            } else if scalar != "\n" || previous != "\r" {
                scalars.append(scalar)
            }
            previous = scalar
        }
        if scalars.last == "\n" { scalars.removeLast() }
        return scalars
    }

    mutating func append(_ kind: TemplateToken.Kind) {
        tokens.append(TemplateToken(kind: kind, line: line))
    }

    func failure(_ message: String) -> ChatTemplateError {
        ChatTemplateError(kind: .syntax, line: line, message: message)
    }

    func scalar(at index: Int) -> Unicode.Scalar? { index < source.count ? source[index] : nil }

    func matches(_ text: StaticString, at index: Int) -> Bool {
        let count = text.utf8CodeUnitCount
        guard index >= 0, index + count <= source.count else { return false }
        for offset in 0..<count where source[index + offset].value != UInt32(text.utf8Start[offset]) { return false }
        return true
    }

    /// The first index from `index` on that holds no whitespace.
    func skippingWhitespace(from index: Int) -> Int {
        var index = index
        while let scalar = scalar(at: index), PythonText.isWhitespace(scalar) { index += 1 }
        return index
    }

    /// Moves on to `index`, counting the lines passed.
    mutating func advance(to index: Int) {
        for passed in position..<index where source[passed] == "\n" { line += 1 }
        position = index
    }

    // MARK: - Text

    /// Text up to the next tag, and that tag.
    private mutating func text() throws(ChatTemplateError) {
        var start = position
        while start < source.count, !isOpening(at: start) { start += 1 }
        guard start < source.count else {
            appendText(upTo: start)
            return advance(to: start)
        }
        let opener = source[start + 1]
        let sign = scalar(at: start + 2).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
        appendText(upTo: textEnd(before: start, sign: sign, mayStripLine: opener != "{"))
        advance(to: start)
        if opener == "%", let body = rawBody(at: start) {
            advance(to: body)
            isLineStart = source[body - 1] == "\n"
            return try raw()
        }
        advance(to: start + (sign == nil ? 2 : 3))
        switch opener {
        case "#": try comment()
        case "{": try tag(begin: .outputBegin, end: .outputEnd)
        default: try tag(begin: .tagBegin, end: .tagEnd)
        }
    }

    private func isOpening(at index: Int) -> Bool {
        guard source[index] == "{", let next = scalar(at: index + 1) else { return false }
        return next == "{" || next == "%" || next == "#"
    }

    private mutating func appendText(upTo end: Int) {
        guard position < end else { return }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: source[position..<end])
        append(.text(String(text)))
    }

    /// Where the text before a tag at `start` ends once the tag's whitespace rules are applied.
    private func textEnd(before start: Int, sign: Unicode.Scalar?, mayStripLine: Bool) -> Int {
        var end = start
        while end > position, PythonText.isWhitespace(source[end - 1]) {
            if sign == nil, source[end - 1] == "\n" { break }
            end -= 1
        }
        if sign == "-" { return end }
        let beginsLine = end == position ? isLineStart : source[end - 1] == "\n"
        return sign == nil && mayStripLine && beginsLine ? end : start
    }

    /// If a `raw` tag starts at `start`, the index at which its body begins.
    private func rawBody(at start: Int) -> Int? {
        var index = start + 2
        if let sign = scalar(at: index), sign == "-" || sign == "+" { index += 1 }
        index = skippingWhitespace(from: index)
        guard matches("raw", at: index) else { return nil }
        index = skippingWhitespace(from: index + 3)
        if matches("-%}", at: index) { return skippingWhitespace(from: index + 3) }
        return matches("%}", at: index) ? index + 2 : nil
    }

    /// The body of a `raw` tag, up to and with its `endraw`.
    private mutating func raw() throws(ChatTemplateError) {
        // jinja2 misses the end of a raw tag or comment only where text follows.
        guard position < source.count else { return }
        var start = position
        while start < source.count {
            defer { start += 1 }
            guard matches("{%", at: start) else { continue }
            var index = start + 2
            let sign = scalar(at: index).flatMap { $0 == "-" || $0 == "+" ? $0 : nil }
            index = skippingWhitespace(from: sign == nil ? index : index + 1)
            guard matches("endraw", at: index) else { continue }
            index = skippingWhitespace(from: index + 6)
            guard let end = blockEnd(at: index) else { continue }
            appendText(upTo: textEnd(before: start, sign: sign, mayStripLine: true))
            return close(at: end)
        }
        throw failure("a 'raw' tag has no 'endraw'")
    }

    private mutating func comment() throws(ChatTemplateError) {
        guard position < source.count else { return }
        var start = position
        while start < source.count, !matches("#}", at: start) { start += 1 }
        guard start < source.count else { throw failure("a comment has no end") }
        let sign: Unicode.Scalar? = start > position ? source[start - 1] : nil
        if sign == "-" {
            close(at: skippingWhitespace(from: start + 2))
        } else {
            close(at: sign != "+" && scalar(at: start + 2) == "\n" ? start + 3 : start + 2)
        }
    }

    private mutating func close(at end: Int) {
        advance(to: end)
        isLineStart = source[end - 1] == "\n"
    }

    // MARK: - Tags

    /// Where the text after a `%}` at `index` begins, or nil if there is no `%}`.
    private func blockEnd(at index: Int) -> Int? {
        if matches("+%}", at: index) { return index + 3 }
        if matches("-%}", at: index) { return skippingWhitespace(from: index + 3) }
        guard matches("%}", at: index) else { return nil }
        return scalar(at: index + 2) == "\n" ? index + 3 : index + 2
    }

    private func outputEnd(at index: Int) -> Int? {
        if matches("-}}", at: index) { return skippingWhitespace(from: index + 3) }
        return matches("}}", at: index) ? index + 2 : nil
    }

    private mutating func tag(begin: TemplateToken.Kind, end: TemplateToken.Kind) throws(ChatTemplateError) {
        append(begin)
        var brackets: [TemplateToken.Symbol] = []
        while let scalar = scalar(at: position) {
            if brackets.isEmpty, let next = end == .outputEnd ? outputEnd(at: position) : blockEnd(at: position) {
                append(end)
                return close(at: next)
            }
            if PythonText.isWhitespace(scalar) {
                advance(to: skippingWhitespace(from: position))
            } else if ("0"..."9").contains(scalar) {
                try number()
            } else if PythonText.isWord(scalar) {
                try name()
            } else if scalar == "'" || scalar == "\"" {
                try string(quote: scalar)
            } else {
                try symbol(brackets: &brackets)
            }
        }
    }

    private mutating func symbol(brackets: inout [TemplateToken.Symbol]) throws(ChatTemplateError) {
        var text = String(source[position])
        var symbol = TemplateToken.Symbol(rawValue: text)
        if let next = scalar(at: position + 1) {
            text.unicodeScalars.append(next)
            if let longer = TemplateToken.Symbol(rawValue: text) { symbol = longer }
        }
        guard let symbol else { throw failure("unexpected character '\(source[position])' in a tag") }
        switch symbol {
        case .openBrace: brackets.append(.closeBrace)
        case .openParenthesis: brackets.append(.closeParenthesis)
        case .openBracket: brackets.append(.closeBracket)
        case .closeBrace, .closeParenthesis, .closeBracket:
            guard let expected = brackets.popLast() else { throw failure("unexpected '\(symbol.rawValue)'") }
            guard expected == symbol else {
                throw failure("expected '\(expected.rawValue)', found '\(symbol.rawValue)'")
            }
        default: break
        }
        append(.symbol(symbol))
        position += symbol.rawValue.utf8.count
    }
}

extension TemplateLexer {
    mutating func name() throws(ChatTemplateError) {
        var end = position
        while let scalar = scalar(at: end), PythonText.isWord(scalar) { end += 1 }
        let first = source[position]
        guard first == "_" || first.properties.isXIDStart,
            source[position..<end].allSatisfy({ $0.properties.isXIDContinue })
        else { throw failure("invalid character in a name") }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: source[position..<end])
        append(.name(String(text)))
        position = end
    }

    // MARK: - Numbers

    /// An integer or a float, in Python's notation: `1_000`, `0x1F`, `1.5e-3`.
    mutating func number() throws(ChatTemplateError) {
        // After a dot, as in `pair.0.1`, digits are an index and never the start of a float.
        if position == 0 || source[position - 1] != ".", let end = floatEnd() {
            guard let value = Double(digits(position..<end)) else { throw failure("a malformed number") }
            append(.float(value))
            position = end
            return
        }
        let (start, end, radix) = integerRange()
        guard let value = Int(digits(start..<end), radix: radix) else {
            throw failure("an integer beyond 64 bits")
        }
        append(.integer(value))
        position = end
    }

    private func digits(_ range: Range<Int>) -> String {
        var text = ""
        for scalar in source[range] where scalar != "_" { text.unicodeScalars.append(scalar) }
        return text
    }

    /// The end of a run of digits in which single underscores may stand between two digits.
    private func digitsEnd(from start: Int, isDigit: (Unicode.Scalar) -> Bool) -> Int? {
        guard let first = scalar(at: start), isDigit(first) else { return nil }
        var end = start + 1
        while let next = scalar(at: end) {
            if isDigit(next) {
                end += 1
            } else if next == "_", let after = scalar(at: end + 1), isDigit(after) {
                end += 2
            } else {
                break
            }
        }
        return end
    }

    private func floatEnd() -> Int? {
        let isDecimal = { (scalar: Unicode.Scalar) in ("0"..."9").contains(scalar) }
        guard var end = digitsEnd(from: position, isDigit: isDecimal) else { return nil }
        var isFloat = false
        if scalar(at: end) == ".", let fraction = digitsEnd(from: end + 1, isDigit: isDecimal) {
            end = fraction
            isFloat = true
        }
        if let mark = scalar(at: end), mark == "e" || mark == "E" {
            let sign = scalar(at: end + 1)
            let digits = sign == "+" || sign == "-" ? end + 2 : end + 1
            if let exponent = digitsEnd(from: digits, isDigit: isDecimal) { return exponent }
        }
        return isFloat ? end : nil
    }

    /// The digits of the integer ahead without their prefix, and their radix.
    private func integerRange() -> (start: Int, end: Int, radix: Int) {
        if source[position] == "0", let mark = scalar(at: position + 1) {
            let prefixes: [(Unicode.Scalar, Int)] = [("b", 2), ("o", 8), ("x", 16)]
            for (letter, radix) in prefixes where mark.value | 0x20 == letter.value {
                var start = position + 2
                if scalar(at: start) == "_" { start += 1 }
                let end = digitsEnd(from: start) { scalar in
                    Int(String(scalar), radix: radix) != nil && scalar != "+" && scalar != "-"
                }
                if let end { return (start, end, radix) }
            }
        }
        // "012" is two numbers to jinja2, and so a syntax error: a leading zero stands alone.
        let isZero = source[position] == "0"
        let end = digitsEnd(from: position) { isZero ? $0 == "0" : ("0"..."9").contains($0) }
        return (position, end ?? position + 1, 10)
    }

    // MARK: - Strings

    mutating func string(quote: Unicode.Scalar) throws(ChatTemplateError) {
        var end = position + 1
        while let scalar = scalar(at: end), scalar != quote { end += scalar == "\\" ? 2 : 1 }
        guard end < source.count else { throw failure("a string has no end") }
        var text = String.UnicodeScalarView()
        var index = position + 1
        while index < end {
            if source[index] == "\\" {
                index = try escape(at: index + 1, into: &text)
            } else {
                text.append(source[index])
                index += 1
            }
        }
        append(.string(String(text)))
        advance(to: end + 1)
    }

    /// Decodes the escape whose character after the backslash is at `index`; returns the index after it.
    ///
    /// An unknown escape keeps its backslash, as in Python.
    private func escape(
        at index: Int, into text: inout String.UnicodeScalarView
    ) throws(ChatTemplateError) -> Int {
        let simple: [Unicode.Scalar: Unicode.Scalar] = [
            "\\": "\\", "'": "'", "\"": "\"", "a": "\u{07}", "b": "\u{08}", "f": "\u{0C}", "n": "\n", "r": "\r",
            "t": "\t", "v": "\u{0B}",
        ]
        let scalar = source[index]
        if let replacement = simple[scalar] {
            text.append(replacement)
            return index + 1
        }
        switch scalar {
        case "\n": return index + 1
        case "x": return try hexadecimalEscape(at: index + 1, count: 2, into: &text)
        case "u": return try hexadecimalEscape(at: index + 1, count: 4, into: &text)
        case "U": return try hexadecimalEscape(at: index + 1, count: 8, into: &text)
        case "N": throw failure("escapes by character name are not supported")
        case "0"..."7":
            var end = index
            var code: UInt32 = 0
            while end < index + 3, let digit = self.scalar(at: end), ("0"..."7").contains(digit) {
                code = code * 8 + digit.value - 0x30
                end += 1
            }
            text.append(Unicode.Scalar(code)!)  // at most 0o777, far from the surrogates
            return end
        default:
            text.append("\\")
            guard scalar.value > 0x7F else {
                text.append(scalar)
                return index + 1
            }
            // jinja2 rewrites non-ASCII characters as escapes before it decodes, so a backslash before one leaves
            // the escape's letters behind.
            let hexadecimal = String(scalar.value, radix: 16)
            let (letter, width) = scalar.value <= 0xFF ? ("x", 2) : scalar.value <= 0xFFFF ? ("u", 4) : ("U", 8)
            let padding = String(repeating: "0", count: max(0, width - hexadecimal.utf8.count))
            text.append(contentsOf: (letter + padding + hexadecimal).unicodeScalars)
            return index + 1
        }
    }

    private func hexadecimalEscape(
        at start: Int, count: Int, into text: inout String.UnicodeScalarView
    ) throws(ChatTemplateError) -> Int {
        var code: UInt32 = 0
        for index in start..<start + count {
            guard let digit = scalar(at: index).flatMap({ Character($0).hexDigitValue }), index < source.count,
                source[index].isASCII
            else { throw failure("an escape in a string lacks some of its \(count) hexadecimal digits") }
            code = code << 4 | UInt32(digit)
        }
        guard let scalar = Unicode.Scalar(code) else {
            throw failure("an escape in a string names no Unicode character")
        }
        text.append(scalar)
        return start + count
    }
}

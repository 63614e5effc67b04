extension TemplateInterpreter {
    /// `format % values` of Python, as far as templates use it: `%s %r %d %i %x %X %o %c %e %f %g %%`.
    func percentFormat(_ format: TemplateString, _ values: TemplateValue) throws(ChatTemplateError) -> TemplateValue {
        try spend(bytes: format.text.utf8.count)
        var rest = [values]
        var mayLeaveValues = false
        if case .tuple(let items) = values { rest = items.items }
        switch values {
        // Python takes these for mappings, whose values need not all be used.
        case .dictionary, .list, .range, .undefined: mayLeaveValues = true
        default: break
        }
        var unused = rest[...]
        func next() throws(ChatTemplateError) -> TemplateValue {
            guard let value = unused.popFirst() else { throw failure("too few values for the format string") }
            return value
        }
        var result = ""
        var scalars = format.text.unicodeScalars[...]
        while let scalar = scalars.popFirst() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            var named: TemplateValue?
            if scalars.first == "(" {
                guard let end = scalars.firstIndex(of: ")"), case .dictionary(let members) = values else {
                    throw failure("a named value in a format string needs a dictionary")
                }
                let name = String(scalars[scalars.index(after: scalars.startIndex)..<end])
                guard let value = members[name] else { throw failure("no value '\(name.prefix(80))' to format") }
                named = value
                mayLeaveValues = true
                scalars = scalars[scalars.index(after: end)...]
            }
            var layout = try percentLayout(&scalars, next)
            guard let conversion = scalars.popFirst() else { throw failure("a format string ends inside a value") }
            if conversion == "%" {
                result += "%"
                continue
            }
            layout.conversion = Character(conversion)
            let value: TemplateValue
            if let named { value = named } else { value = try next() }
            let piece = try percentValue(value, &layout, isMarkup: format.isMarkup)
            try spend(bytes: result.utf8.count / 64 + piece.utf8.count)
            result += piece
        }
        guard unused.isEmpty || mayLeaveValues else { throw failure("too many values for the format string") }
        return .string(TemplateString(result, isMarkup: format.isMarkup))
    }

    private func percentLayout(
        _ scalars: inout Substring.UnicodeScalarView, _ next: () throws(ChatTemplateError) -> TemplateValue
    ) throws(ChatTemplateError) -> TemplateFormat {
        var layout = TemplateFormat()
        layout.alignment = ">"
        var hasZero = false
        while let flag = scalars.first, "-+ #0".unicodeScalars.contains(flag) {
            switch flag {
            case "-": layout.alignment = "<"
            case "+": layout.sign = "+"
            case " ": if layout.sign != "+" { layout.sign = " " }
            case "#": layout.isAlternate = true
            default: hasZero = true
            }
            scalars.removeFirst()
        }
        if hasZero, layout.alignment == ">" {
            layout.fill = "0"
            layout.alignment = "="
        }
        func number() throws(ChatTemplateError) -> Int? {
            if scalars.first == "*" {
                scalars.removeFirst()
                guard let value = try next().index else { throw failure("'*' in a format string needs an integer") }
                return value
            }
            return try digits(&scalars)
        }
        if let width = try number() {
            layout.width = width.magnitude > 1 << 40 ? 1 << 40 : abs(width)
            if width < 0 { layout.alignment = "<" }
        }
        if scalars.first == "." {
            scalars.removeFirst()
            layout.precision = max(0, try number() ?? 0)
        }
        while let modifier = scalars.first, "hlL".unicodeScalars.contains(modifier) { scalars.removeFirst() }
        return layout
    }

    func digits(_ scalars: inout Substring.UnicodeScalarView) throws(ChatTemplateError) -> Int? {
        var value: Int?
        while let digit = scalars.first, ("0"..."9").contains(digit) {
            value = (value ?? 0) * 10 + Int(digit.value) - 0x30
            guard value! < 1 << 40 else { throw failure("a number in a format string is too large") }
            scalars.removeFirst()
        }
        return value
    }

    private func percentValue(
        _ value: TemplateValue, _ layout: inout TemplateFormat, isMarkup: Bool
    ) throws(ChatTemplateError) -> String {
        switch layout.conversion {
        case "s", "r", "a":
            var text = layout.conversion == "s" ? try text(of: value) : try representation(of: value)
            if case .string(let string) = value, string.isMarkup {
            } else if isMarkup {
                text = PythonText.escapedForHTML(text)
            }
            if layout.alignment == "=" { layout.alignment = ">" }
            layout.fill = " "
            return try laidOut(text, layout)
        case "c":
            layout.fill = " "
            if let text = value.string, text.unicodeScalars.count == 1 { return try laidOut(text, layout) }
            guard let code = value.index, let scalar = UInt32(exactly: code).flatMap(Unicode.Scalar.init) else {
                throw failure("'%c' needs one character")
            }
            return try laidOut(String(scalar), layout)
        case "d", "i", "u":
            if case .float(let float) = value {
                guard let integer = Int(exactly: float.rounded(.towardZero)) else {
                    throw failure("a float beyond the range of 64-bit integers")
                }
                return try laidOut(.integer(integer), layout, conversion: "d")
            }
            return try laidOut(value, layout, conversion: "d")
        case "x", "X", "o":
            guard value.index != nil else { throw failure("'%x' and '%o' need an integer") }
            return try laidOut(value, layout, conversion: layout.conversion!)
        case "e", "E", "f", "F", "g", "G":
            return try laidOut(value, layout, conversion: layout.conversion!)
        case let other: throw failure("unknown conversion '%\(other.map(String.init) ?? "")' in a format string")
        }
    }

}

/// How a value is laid out by `%` formatting or `str.format`.
struct TemplateFormat {
    var fill = " "
    var alignment: Character?
    var sign: Character = "-"
    var isAlternate = false
    var width = 0
    var grouping: Character?
    var precision: Int?
    var conversion: Character?
}

extension TemplateInterpreter {
    private static let maximumPrecision = 400

    // MARK: - format % values

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

    private func digits(_ scalars: inout Substring.UnicodeScalarView) throws(ChatTemplateError) -> Int? {
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

    // MARK: - Laying out

    private func laidOut(_ text: String, _ layout: TemplateFormat) throws(ChatTemplateError) -> String {
        var text = text
        if let precision = layout.precision { text = PythonText.string(text.unicodeScalars.prefix(precision)) }
        let alignment: Alignment = layout.alignment == ">" ? .right : layout.alignment == "^" ? .center : .left
        if alignment == .center {
            // Unlike str.center, a format puts the odd one right.
            let missing = max(0, layout.width - PythonText.length(text))
            let left = try padded(
                text, to: PythonText.length(text) + missing / 2, with: layout.fill, .right)
            return try padded(left, to: layout.width, with: layout.fill, .left)
        }
        return try padded(text, to: layout.width, with: layout.fill, alignment)
    }

    private func laidOut(
        _ value: TemplateValue, _ layout: TemplateFormat, conversion: Character
    ) throws(ChatTemplateError) -> String {
        var (isNegative, digits) = try magnitude(of: value, layout, conversion)
        if let grouping = layout.grouping { digits = grouped(digits, by: grouping) }
        var sign = isNegative ? "-" : layout.sign == "-" ? "" : String(layout.sign)
        if layout.isAlternate, ["x", "X", "o", "b"].contains(conversion) { sign += "0" + String(conversion) }
        isNegative = false
        if layout.alignment == "=" || layout.alignment == nil && layout.fill == "0" {
            return sign + (try padded(digits, to: layout.width - sign.utf8.count, with: layout.fill, .right))
        }
        var layout = layout
        layout.precision = nil
        layout.alignment = layout.alignment ?? ">"
        return try laidOut(sign + digits, layout)
    }

    private func magnitude(
        of value: TemplateValue, _ layout: TemplateFormat, _ conversion: Character
    ) throws(ChatTemplateError) -> (isNegative: Bool, digits: String) {
        let precision = layout.precision ?? 6
        guard precision <= Self.maximumPrecision else {
            throw excess("a format asks for more than \(Self.maximumPrecision) digits")
        }
        let radixes: [Character: Int] = ["d": 10, "b": 2, "o": 8, "x": 16, "X": 16]
        if let radix = radixes[conversion] {
            guard let integer = value.index else {
                throw failure("'\(conversion)' formats an integer, found '\(value.typeName)'")
            }
            let digits = String(integer.magnitude, radix: radix, uppercase: conversion == "X")
            let zeros = String(repeating: "0", count: max(0, (layout.precision ?? 0) - digits.utf8.count))
            return (integer < 0, zeros + digits)
        }
        guard let number = value.number else {
            throw failure("'\(conversion)' formats a number, found '\(value.typeName)'")
        }
        let isNegative = number.sign == .minus && !number.isNaN
        guard number.isFinite else {
            let name = number.isNaN ? "nan" : "inf"
            return (isNegative, conversion.isUppercase ? name.uppercased() : name)
        }
        if conversion == "%" {
            let digits = PythonNumber.printed(number.magnitude * 100, precision: precision, conversion: "f")
            return (isNegative, digits + "%")
        }
        return (
            isNegative,
            PythonNumber.printed(
                number.magnitude, precision: precision, conversion: conversion, isAlternate: layout.isAlternate)
        )
    }

    private func grouped(_ digits: String, by separator: Character) -> String {
        let whole = digits.prefix { $0.isNumber }
        var result = ""
        for (index, digit) in whole.enumerated() {
            if index > 0, (whole.count - index) % 3 == 0 { result.append(separator) }
            result.append(digit)
        }
        return result + digits.dropFirst(whole.count)
    }

    // MARK: - str.format

    /// `text.format(...)`: fields by position or name, with attributes, items, `!r` and a plain format.
    func braceFormat(
        _ format: TemplateString, _ arguments: TemplateArguments
    ) throws(ChatTemplateError) -> String {
        var result = ""
        var scalars = format.text.unicodeScalars[...]
        var automatic = 0
        while let scalar = scalars.popFirst() {
            guard scalar == "{" || scalar == "}" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            if scalars.first == scalar {
                scalars.removeFirst()
                result.unicodeScalars.append(scalar)
                continue
            }
            guard scalar == "{", let end = scalars.firstIndex(of: "}") else {
                throw failure("a single '\(scalar)' in a format string")
            }
            let field = String(scalars[..<end])
            scalars = scalars[scalars.index(after: end)...]
            let piece = try self.field(field, arguments, &automatic, isMarkup: format.isMarkup)
            try spend(bytes: result.utf8.count / 64 + piece.utf8.count)
            result += piece
        }
        return result
    }

    private func field(
        _ field: String, _ arguments: TemplateArguments, _ automatic: inout Int, isMarkup: Bool
    ) throws(ChatTemplateError) -> String {
        guard !field.contains("{") else { throw failure("nested fields in a format string are not supported") }
        let parts = field.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let target = parts[0].split(separator: "!", maxSplits: 1, omittingEmptySubsequences: false)
        var value = try self.value(of: String(target[0]), arguments, &automatic)
        if target.count > 1 {
            switch target[1] {
            case "r", "a": value = .text(try representation(of: value))
            case "s": value = .text(try text(of: value))
            default: throw failure("unknown conversion '!\(target[1].prefix(20))' in a format string")
            }
        }
        let specification = parts.count > 1 ? String(parts[1]) : ""
        var isSafe = false
        if case .string(let string) = value { isSafe = string.isMarkup }
        let text = specification.isEmpty ? try text(of: value) : try braceValue(value, specification)
        return isMarkup && !isSafe ? PythonText.escapedForHTML(text) : text
    }

    private func value(
        of path: String, _ arguments: TemplateArguments, _ automatic: inout Int
    ) throws(ChatTemplateError) -> TemplateValue {
        let name = path.prefix { $0 != "." && $0 != "[" }
        var rest = path.dropFirst(name.count)
        var value: TemplateValue
        if name.isEmpty || name.allSatisfy({ $0.isASCII && $0.isNumber }) {
            let index = Int(name) ?? automatic
            if name.isEmpty { automatic += 1 }
            guard index < arguments.positional.count else { throw failure("too few values for the format string") }
            value = arguments.positional[index]
        } else {
            guard let named = arguments.keyword(String(name)) else {
                throw failure("no value '\(name.prefix(80))' to format")
            }
            value = named
        }
        while let mark = rest.popFirst() {
            try spend()
            let key = rest.prefix { mark == "[" ? $0 != "]" : $0 != "." && $0 != "[" }
            rest = rest.dropFirst(key.count)
            if mark == "[" {
                guard rest.popFirst() == "]" else { throw failure("'[' without ']' in a format string") }
                value = try item(Int(key).map { .integer($0) } ?? .text(String(key)), of: value)
            } else {
                value = try attribute(String(key), of: value)
            }
        }
        return value
    }

    private func braceValue(_ value: TemplateValue, _ specification: String) throws(ChatTemplateError) -> String {
        var layout = TemplateFormat()
        var scalars = specification.unicodeScalars[...]
        let second = scalars.dropFirst().first
        if let second, "<>=^".unicodeScalars.contains(second) {
            layout.fill = String(scalars.removeFirst())
            layout.alignment = Character(scalars.removeFirst())
        } else if let first = scalars.first, "<>=^".unicodeScalars.contains(first) {
            layout.alignment = Character(scalars.removeFirst())
        }
        if let sign = scalars.first, "+- ".unicodeScalars.contains(sign) {
            layout.sign = Character(scalars.removeFirst())
        }
        if scalars.first == "#" {
            layout.isAlternate = true
            scalars.removeFirst()
        }
        if scalars.first == "0" {
            if layout.alignment == nil {
                layout.fill = "0"
                layout.alignment = value.string == nil ? "=" : "<"
            }
            scalars.removeFirst()
        }
        layout.width = try digits(&scalars) ?? 0
        if let grouping = scalars.first, grouping == "," || grouping == "_" {
            layout.grouping = Character(scalars.removeFirst())
        }
        if scalars.first == "." {
            scalars.removeFirst()
            guard let precision = try digits(&scalars) else { throw failure("a format lacks its precision") }
            layout.precision = precision
        }
        let conversion = scalars.popFirst().map(Character.init)
        guard scalars.isEmpty else { throw failure("cannot read the format '\(specification.prefix(40))'") }
        return try braceValue(value, layout, conversion, specification)
    }

    private func braceValue(
        _ value: TemplateValue, _ layout: TemplateFormat, _ conversion: Character?, _ specification: String
    ) throws(ChatTemplateError) -> String {
        switch value {
        case .string(let string):
            guard conversion == nil || conversion == "s", layout.alignment != "=", layout.grouping == nil else { break }
            return try laidOut(string.text, layout)
        case .integer, .boolean:
            if value.typeName == "bool", conversion == nil { break }
            guard let kind = conversion ?? "d" as Character?, "bdoxXeEfFgG%".contains(kind) else { break }
            guard layout.precision == nil || !"bdoxX".contains(kind) else { break }
            return try laidOut(value, layout, conversion: kind)
        case .float(let number):
            guard let conversion else {
                guard layout.precision == nil, number.isFinite else { break }
                var plain = layout
                plain.alignment = layout.alignment == "=" ? ">" : layout.alignment ?? ">"
                let text = PythonNumber.representation(number)
                return try laidOut(layout.sign == "-" || number < 0 ? text : String(layout.sign) + text, plain)
            }
            guard "eEfFgG%".contains(conversion) else { break }
            return try laidOut(value, layout, conversion: conversion)
        default: break
        }
        throw failure("the format '\(specification.prefix(40))' does not fit a '\(value.typeName)'")
    }
}

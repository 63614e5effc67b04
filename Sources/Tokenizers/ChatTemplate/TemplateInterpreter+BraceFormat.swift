extension TemplateInterpreter {
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

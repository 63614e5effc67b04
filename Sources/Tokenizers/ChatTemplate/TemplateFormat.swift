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
    fileprivate static let maximumPrecision = 400

    // MARK: - Laying out

    func laidOut(_ text: String, _ layout: TemplateFormat) throws(ChatTemplateError) -> String {
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

    func laidOut(
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

}

/// Python's `json.dumps`, with the options that the filter `tojson` of chat templates takes.
struct TemplateJSONWriter {
    let interpreter: TemplateInterpreter
    /// What one level is indented by; nil for everything on one line.
    let indentation: String?
    let itemSeparator: String
    let keySeparator: String
    let isASCII: Bool
    let sortsKeys: Bool
    private(set) var text = ""

    init(
        interpreter: TemplateInterpreter, indentation: String?, separators: (item: String, key: String)?,
        isASCII: Bool, sortsKeys: Bool
    ) {
        self.interpreter = interpreter
        self.indentation = indentation
        itemSeparator = separators?.item ?? (indentation == nil ? ", " : ",")
        keySeparator = separators?.key ?? ": "
        self.isASCII = isASCII
        self.sortsKeys = sortsKeys
    }

    private mutating func append(_ piece: String) throws(ChatTemplateError) {
        try interpreter.spend(bytes: piece.utf8.count)
        guard text.utf8.count + piece.utf8.count <= interpreter.limits.maximumOutputBytes else {
            throw interpreter.excess("the filter 'tojson' writes more than the limit of a text")
        }
        text += piece
    }

    /// - Parameter level: containers around `value`, at most ``TemplateInterpreter/maximumValueDepth``.
    mutating func write(_ value: TemplateValue, level: Int = 0) throws(ChatTemplateError) {
        switch value {
        case .none: try append("null")
        case .boolean(let value): try append(value ? "true" : "false")
        case .integer(let value): try append(String(value))
        case .float(let value): try append(number(value))
        case .string(let string): try append(quoted(string.text))
        case .list(let items), .tuple(let items):
            guard !items.items.isEmpty else { return try append("[]") }
            try append("[")
            for (index, item) in items.items.enumerated() {
                try startItem(isFirst: index == 0, level: level + 1)
                try write(item, level: level + 1)
            }
            try finish("]", level: level)
        case .dictionary(let dictionary):
            guard !dictionary.members.isEmpty else { return try append("{}") }
            try append("{")
            for (index, member) in try members(of: dictionary).enumerated() {
                try startItem(isFirst: index == 0, level: level + 1)
                try append(quoted(member.key))
                try append(keySeparator)
                try write(member.value, level: level + 1)
            }
            try finish("}", level: level)
        default: throw interpreter.failure("a '\(value.typeName)' cannot be written as JSON")
        }
    }

    private mutating func startItem(isFirst: Bool, level: Int) throws(ChatTemplateError) {
        if !isFirst { try append(itemSeparator) }
        try startLine(level: level)
    }

    private mutating func finish(_ bracket: String, level: Int) throws(ChatTemplateError) {
        try startLine(level: level)
        try append(bracket)
    }

    private mutating func startLine(level: Int) throws(ChatTemplateError) {
        guard let indentation else { return }
        try interpreter.spend(bytes: indentation.utf8.count, times: level)
        try append("\n" + String(repeating: indentation, count: level))
    }

    private func members(
        of dictionary: TemplateDictionary
    ) throws(ChatTemplateError) -> [(key: String, value: TemplateValue)] {
        var members: [(key: TemplateValue, value: TemplateValue)] = []
        for (key, value) in dictionary.members { members.append((key.value, value)) }
        if sortsKeys {
            members = try interpreter.sorted(members) { left, right throws(ChatTemplateError) in
                try interpreter.order(left.key, right.key) == .less
            }
        }
        var named: [(key: String, value: TemplateValue)] = []
        for member in members { named.append((try name(of: member.key), member.value)) }
        return named
    }

    private func name(of key: TemplateValue) throws(ChatTemplateError) -> String {
        switch key {
        case .string(let string): return string.text
        case .none: return "null"
        case .boolean(let value): return value ? "true" : "false"
        case .integer(let value): return String(value)
        case .float(let value): return number(value)
        default: throw interpreter.failure("a '\(key.typeName)' cannot be the key of a JSON object")
        }
    }

    private func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        return PythonNumber.representation(value)
    }

    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{08}": result += "\\b"
            case "\u{0C}": result += "\\f"
            default:
                if scalar.value < 0x20 || isASCII && scalar.value > 0x7E {
                    for unit in String(scalar).utf16 { result += Self.escape(unit) }
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }

    private static func escape(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
    }
}

extension JSON {
    /// This value as JSON text; the same value always gives the same bytes.
    /// - Parameter pretty: two spaces per level and one member per line, for files that people read.
    public func text(pretty: Bool = false) -> String {
        var output = ""
        write(to: &output, pretty: pretty, level: 0)
        return output
    }

    private func write(to output: inout String, pretty: Bool, level: Int) {
        switch self {
        case .null: output += "null"
        case .bool(let value): output += value ? "true" : "false"
        case .integer(let value): output += String(value)
        // JSON has no word for NaN or infinity; null is what other writers use.
        case .number(let value): output += value.isFinite ? "\(value)" : "null"
        case .string(let value): JSON.write(string: value, to: &output)
        case .array(let values):
            JSON.write(values, brackets: ("[", "]"), to: &output, pretty: pretty, level: level) { value, output in
                value.write(to: &output, pretty: pretty, level: level + 1)
            }
        case .object(let members):
            JSON.write(members.elements, brackets: ("{", "}"), to: &output, pretty: pretty, level: level) {
                member, output in
                JSON.write(string: member.key, to: &output)
                output += pretty ? ": " : ":"
                member.value.write(to: &output, pretty: pretty, level: level + 1)
            }
        }
    }

    private static func write<Items: Collection>(
        _ items: Items, brackets: (String, String), to output: inout String, pretty: Bool, level: Int,
        item write: (Items.Element, inout String) -> Void
    ) {
        output += brackets.0
        var isFirst = true
        for item in items {
            if !isFirst { output += "," }
            isFirst = false
            if pretty { output += "\n" + String(repeating: "  ", count: level + 1) }
            write(item, &output)
        }
        if pretty && !isFirst { output += "\n" + String(repeating: "  ", count: level) }
        output += brackets.1
    }

    private static func write(string: String, to output: inout String) {
        output += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case "\u{00}"..<"\u{20}":
                let hexadecimal = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
            default: output.unicodeScalars.append(scalar)
            }
        }
        output += "\""
    }
}

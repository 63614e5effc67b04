extension TemplateFilter {
    static let text: [String: TemplateFilter] = [
        "capitalize": mapping(PythonText.capitalized),
        "center": TemplateFilter(["width"], center),
        "e": TemplateFilter(escape),
        "escape": TemplateFilter(escape),
        "forceescape": TemplateFilter(forceEscape),
        "format": TemplateFilter(nil, format),
        "indent": TemplateFilter(["width", "first", "blank"], indent),
        "join": TemplateFilter(["d", "attribute"], join),
        "lower": mapping(PythonText.lowercased),
        "replace": TemplateFilter(["old", "new", "count"], required: 2, replace),
        "safe": TemplateFilter { call throws(ChatTemplateError) in
            .string(TemplateString(try call.interpreter.text(of: call.input), isMarkup: true))
        },
        "string": TemplateFilter { call throws(ChatTemplateError) in .string(try call.softString()) },
        "title": mapping(PythonText.wordsCapitalized),
        "tojson": TemplateFilter(["ensure_ascii", "indent", "separators", "sort_keys"], json),
        "trim": TemplateFilter(["chars"], trim),
        "truncate": TemplateFilter(["length", "killwords", "end", "leeway"], truncate),
        "upper": mapping(PythonText.uppercased),
        "wordcount": TemplateFilter(wordCount),
    ]

    private static func mapping(_ map: @escaping @Sendable (String) -> String) -> TemplateFilter {
        TemplateFilter { call throws(ChatTemplateError) in
            let string = try call.softString()
            return .string(TemplateString(map(string.text), isMarkup: string.isMarkup))
        }
    }

    private static func center(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let string = try call.softString()
        let width = try call.integer(0, default: 80)
        return .string(
            TemplateString(
                try call.interpreter.padded(string.text, to: width, with: " ", .center), isMarkup: string.isMarkup))
    }

    private static func escape(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        if case .string(let string) = call.input, string.isMarkup { return call.input }
        return try forceEscape(call)
    }

    private static func forceEscape(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let text = try call.interpreter.text(of: call.input)
        try call.interpreter.spend(bytes: text.utf8.count)
        return .string(TemplateString(PythonText.escapedForHTML(text), isMarkup: true))
    }

    private static func format(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let interpreter = call.interpreter
        let arguments = call.unbound
        guard !arguments.keywords.isEmpty else {
            return try interpreter.percentFormat(try call.softString(), try interpreter.tuple(arguments.positional))
        }
        guard arguments.positional.isEmpty else { throw call.failure("mixes positional and keyword arguments") }
        var members = TemplateDictionary()
        for (name, value) in arguments.keywords { try interpreter.set(value, for: .text(name), in: &members) }
        return try interpreter.percentFormat(try call.softString(), .dictionary(members))
    }

    private static func indent(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        guard case .string(let string) = call.input else {
            throw call.failure("needs a string, found '\(call.input.typeName)'")
        }
        let indentation: String
        if let text = call.arguments[0]?.string {
            indentation = text
        } else {
            let width = max(0, try call.integer(0, default: 4))
            try call.interpreter.spend(bytes: width)
            indentation = String(repeating: " ", count: width)
        }
        try call.interpreter.spend(string.text.utf8.count)
        var lines = PythonText.splitLines(string.text + "\n")
        try call.interpreter.spend(bytes: indentation.utf8.count, times: lines.count)
        let (first, blank) = (call.flag(1), call.flag(2))
        for (index, line) in lines.enumerated() {
            let isIndented = index == 0 ? first : blank || !line.isEmpty
            if isIndented { lines[index] = indentation + line }
        }
        return .string(TemplateString(lines.joined(separator: "\n"), isMarkup: string.isMarkup))
    }

    private static func join(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let separator = try call.text(0, default: "")
        let get = try call.interpreter.getter(call.given(1))
        let iterator = try call.interpreter.iterator(over: call.input)
        var result = ""
        var isFirst = true
        while let item = try iterator.next() {
            let text = try call.interpreter.text(of: try get(item))
            try call.interpreter.spend(bytes: separator.utf8.count + text.utf8.count)
            if !isFirst { result += separator }
            isFirst = false
            result += text
            guard result.utf8.count <= call.interpreter.limits.maximumOutputBytes else {
                throw call.interpreter.excess("the filter 'join' makes a text beyond the limit")
            }
        }
        return .text(result)
    }

    private static func json(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let interpreter = call.interpreter
        var indentation: String?
        if let indent = call.given(1) {
            if let text = indent.string {
                indentation = text
            } else {
                let width = max(0, try call.integer(1, default: 0))
                try interpreter.spend(bytes: width)
                indentation = String(repeating: " ", count: width)
            }
        }
        var separators: (item: String, key: String)?
        if let pair = call.given(2) {
            let items = try interpreter.items(of: pair)
            guard items.count == 2, let item = items[0].string, let key = items[1].string else {
                throw call.failure("separators must be two strings")
            }
            separators = (item, key)
        }
        var writer = TemplateJSONWriter(
            interpreter: interpreter, indentation: indentation, separators: separators, isASCII: call.flag(0),
            sortsKeys: call.flag(3))
        try writer.write(call.input)
        return .text(writer.text)
    }

    private static func replace(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let text = try call.interpreter.text(of: call.input)
        let limit = call.given(2) == nil ? -1 : try call.integer(2, default: -1)
        return .text(
            try call.interpreter.replaced(
                text, try call.text(0, default: ""), with: try call.text(1, default: ""), limit: limit))
    }

    private static func trim(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let string = try call.softString()
        let characters = call.given(0)
        guard characters == nil || characters?.string != nil else { throw call.failure("'chars' must be a string") }
        return .string(TemplateString(PythonText.strip(string.text, characters?.string), isMarkup: string.isMarkup))
    }

    private static func truncate(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        guard let count = call.interpreter.count(of: call.input) else {
            throw call.failure("a '\(call.input.typeName)' has no length")
        }
        let end = try call.text(2, default: "...")
        let length = try call.integer(0, default: 255)
        let leeway = call.given(3) == nil ? 5 : try call.integer(3, default: 5)
        let endLength = PythonText.length(end)
        guard length >= endLength, leeway >= 0 else { throw call.failure("the length is shorter than the end") }
        guard count - length > leeway else { return call.input }
        guard case .string(let string) = call.input else { throw call.failure("cannot cut a '\(call.input.typeName)'") }
        let scalars = Array(string.text.unicodeScalars)
        var kept = scalars.prefix(length - endLength)
        if !call.flag(1), let space = kept.lastIndex(of: " ") { kept = kept[..<space] }
        return .text(PythonText.string(kept) + end)
    }

    private static func wordCount(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        var count = 0
        var isInWord = false
        for scalar in try call.softString().text.unicodeScalars {
            let isWord = PythonText.isWord(scalar)
            if isWord, !isInWord { count += 1 }
            isInWord = isWord
        }
        return .integer(count)
    }
}

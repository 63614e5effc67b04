extension TemplateInterpreter {
    /// A method of `str`. What it returns is marked as HTML if the receiver is.
    func call(
        _ name: String, on string: TemplateString, with arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue {
        if let result = try transformed(name, string, arguments) { return result }
        if let result = try searched(name, string, arguments) { return result }
        if let result = try divided(name, string, arguments) { return result }
        if let result = classified(name, string.text) {
            _ = try bind(arguments, to: [], function: "str.\(name)()")
            return .boolean(result)
        }
        throw failure("the method '\(name)' of 'str' is not supported")
    }

    private func bound(
        _ arguments: TemplateArguments, _ names: [String], required: Int = 0, _ method: String
    ) throws(ChatTemplateError) -> [TemplateValue?] {
        // Only split and splitlines take keywords, as in Python.
        guard arguments.keywords.isEmpty || method.contains("split") || method == "format" else {
            throw failure("str.\(method)() takes no keyword arguments")
        }
        return try bind(arguments, to: names, required: required, function: "str.\(method)()")
    }

    private func text(
        _ value: TemplateValue?, _ method: String, escapedFor receiver: TemplateString? = nil
    ) throws(ChatTemplateError) -> String {
        guard case .string(let string) = value else {
            throw failure("str.\(method)() needs a string, found '\(value?.typeName ?? "nothing")'")
        }
        let isEscaped = receiver?.isMarkup == true && !string.isMarkup
        return isEscaped ? PythonText.escapedForHTML(string.text) : string.text
    }

    private func integer(
        _ value: TemplateValue?, default standard: Int, _ method: String
    ) throws(ChatTemplateError) -> Int {
        guard let value else { return standard }
        guard let integer = value.index else {
            throw failure("str.\(method)() needs an integer, found '\(value.typeName)'")
        }
        return integer
    }

    // MARK: - Strings from strings

    private func transformed(
        _ name: String, _ string: TemplateString, _ arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue? {
        let source = string.text
        let result: String
        switch name {
        case "upper", "lower", "title", "capitalize", "swapcase", "casefold":
            _ = try bound(arguments, [], name)
            let maps: [String: (String) -> String] = [
                "upper": PythonText.uppercased, "lower": PythonText.lowercased, "title": PythonText.titlecased,
                "capitalize": PythonText.capitalized, "swapcase": PythonText.swappedCase,
                "casefold": PythonText.lowercased,
            ]
            result = maps[name]!(source)
        case "strip", "lstrip", "rstrip":
            let characters = try bound(arguments, ["chars"], name)[0]
            var set: String?
            if let characters, case .none = characters {
            } else if characters != nil {
                set = try text(characters, name)
            }
            result = PythonText.strip(source, set, left: name != "rstrip", right: name != "lstrip")
        case "replace":
            let values = try bound(arguments, ["old", "new", "count"], required: 2, name)
            result = try replaced(
                source, try text(values[0], name), with: try text(values[1], name, escapedFor: string),
                limit: try integer(values[2], default: -1, name))
        case "removeprefix", "removesuffix":
            let part = try text(try bound(arguments, [name], required: 1, name)[0], name)
            result = removing(part, from: source, atEnd: name == "removesuffix")
        case "center", "ljust", "rjust":
            let values = try bound(arguments, ["width", "fillchar"], required: 1, name)
            let filler = values[1] == nil ? " " : try text(values[1], name)
            guard filler.unicodeScalars.count == 1 else { throw failure("str.\(name)() needs one character to fill") }
            result = try padded(
                source, to: try integer(values[0], default: 0, name), with: filler,
                name == "center" ? .center : name == "ljust" ? .left : .right)
        case "zfill":
            let width = try integer(try bound(arguments, ["width"], required: 1, name)[0], default: 0, name)
            let sign = source.unicodeScalars.first.map { $0 == "-" || $0 == "+" } == true ? source.prefix(1) : ""
            let digits = String(source.unicodeScalars.dropFirst(sign.isEmpty ? 0 : 1))
            result = sign + (try padded(digits, to: width - (sign.isEmpty ? 0 : 1), with: "0", .right))
        case "join": result = try joined(string, arguments)
        case "format": result = try braceFormat(string, arguments)
        default: return nil
        }
        return .string(TemplateString(result, isMarkup: string.isMarkup))
    }

    private func removing(_ part: String, from text: String, atEnd: Bool) -> String {
        let (bytes, cut) = (Array(text.utf8), Array(part.utf8))
        guard atEnd ? bytes.reversed().starts(with: cut.reversed()) : bytes.starts(with: cut) else { return text }
        return String(decoding: atEnd ? bytes.dropLast(cut.count) : bytes.dropFirst(cut.count), as: UTF8.self)
    }

    private func joined(
        _ separator: TemplateString, _ arguments: TemplateArguments
    ) throws(ChatTemplateError) -> String {
        var result = ""
        let parts = try items(of: try bound(arguments, ["iterable"], required: 1, "join")[0]!)
        for (index, part) in parts.enumerated() {
            let part = try text(part, "join", escapedFor: separator)
            try spend(bytes: result.utf8.count / 64 + separator.text.utf8.count + part.utf8.count)
            result += index > 0 ? separator.text + part : part
            guard result.utf8.count <= limits.maximumOutputBytes else {
                throw excess("str.join() makes a text of more than \(limits.maximumOutputBytes) bytes")
            }
        }
        return result
    }

    /// `str.replace`, with the size of the result checked before it is made. A negative `limit` stands for none.
    func replaced(
        _ text: String, _ old: String, with new: String, limit: Int
    ) throws(ChatTemplateError) -> String {
        let most = limit < 0 ? Int.max : limit
        let bytes = text.utf8.count
        // Every byte may be an occurrence, whose offset is kept.
        try spend(bytes / 4)
        let possible = min(most, old.isEmpty ? bytes + 1 : bytes / old.utf8.count)
        let growth = max(0, new.utf8.count - old.utf8.count)
        if growth > 0, possible > 0 {
            // The bound by length alone can be far too high, so count the real occurrences before refusing.
            let found =
                old.isEmpty
                ? possible
                : PythonText.occurrences(of: Array(old.utf8), in: Array(text.utf8), limit: most).count
            try spend(bytes: growth, times: found)
            try spend(bytes: bytes + growth * found)
        }
        return PythonText.replace(text, old, with: new, limit: most)
    }

    enum Alignment { case left, right, center }

    func padded(
        _ text: String, to width: Int, with filler: String, _ alignment: Alignment
    ) throws(ChatTemplateError) -> String {
        let length = PythonText.length(text)
        guard width > length else { return text }
        let missing = width - length
        try spend(bytes: filler.utf8.count, times: missing)
        // Python puts the odd one of a centred text left if the width is odd.
        let left: Int
        switch alignment {
        case .left: left = 0
        case .right: left = missing
        case .center: left = missing / 2 + (missing & width & 1)
        }
        return String(repeating: filler, count: left) + text + String(repeating: filler, count: missing - left)
    }

    // MARK: - Searching

    private func searched(
        _ name: String, _ string: TemplateString, _ arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue? {
        switch name {
        case "startswith", "endswith", "find", "rfind", "index", "rindex", "count": break
        default: return nil
        }
        let values = try bound(arguments, ["sub", "start", "end"], required: 1, name)
        let scalars = Array(string.text.unicodeScalars)
        let bounds = try range(of: values, count: scalars.count)
        // Python finds nothing, not even the empty string, beyond the end.
        let isBeyond = (values[1]?.index ?? 0) > scalars.count
        let part = Array(PythonText.string(scalars[bounds]).utf8)
        if name == "startswith" || name == "endswith" {
            var candidates: [TemplateValue] = [values[0]!]
            if case .tuple(let items) = values[0]! { candidates = items.items }
            for candidate in candidates {
                let bytes = Array(try text(candidate, name).utf8)
                try spend(bytes: bytes.count)
                let matches =
                    name == "startswith" ? part.starts(with: bytes) : part.reversed().starts(with: bytes.reversed())
                if matches, !isBeyond { return .boolean(true) }
            }
            return .boolean(false)
        }
        let needle = Array(try text(values[0], name).utf8)
        if name == "count" {
            if needle.isEmpty { return .integer(isBeyond ? 0 : bounds.count + 1) }
            return .integer(PythonText.occurrences(of: needle, in: part).count)
        }
        let fromRight = name.hasPrefix("r")
        let offset: Int?
        if needle.isEmpty {
            offset = isBeyond ? nil : fromRight ? part.count : 0
        } else {
            offset =
                fromRight
                ? PythonText.lastOccurrences(of: needle, in: part, limit: 1).first
                : PythonText.occurrences(of: needle, in: part, limit: 1).first
        }
        guard let offset else {
            if name.hasSuffix("index") { throw failure("str.\(name)() did not find the text") }
            return .integer(-1)
        }
        // Continuation bytes do not start a code point.
        return .integer(bounds.lowerBound + part[..<offset].reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) })
    }

    // MARK: - Splitting

    private func divided(
        _ name: String, _ string: TemplateString, _ arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue? {
        switch name {
        case "split", "rsplit":
            let values = try bound(arguments, ["sep", "maxsplit"], name)
            let most = try integer(values[1], default: -1, name)
            let limit = most < 0 ? Int.max : most
            try spend(string.text.utf8.count)
            if let separator = values[0], separator.string != nil || separator.isUndefined {
                let separator = try text(separator, name)
                guard !separator.isEmpty else { throw failure("str.\(name)() needs a separator that is not empty") }
                return try list(
                    of: PythonText.split(string.text, separator: separator, limit: limit, fromRight: name == "rsplit"),
                    like: string)
            }
            if let separator = values[0] {
                guard case .none = separator else { throw failure("str.\(name)() needs a string as separator") }
            }
            return try list(
                of: PythonText.splitAtWhitespace(string.text, limit: limit, fromRight: name == "rsplit"), like: string)
        case "splitlines":
            try spend(string.text.utf8.count)
            let keepEnds = try integer(try bound(arguments, ["keepends"], name)[0], default: 0, name)
            return try list(of: PythonText.splitLines(string.text, keepEnds: keepEnds != 0), like: string)
        case "partition", "rpartition":
            let separator = try text(try bound(arguments, ["sep"], required: 1, name)[0], name)
            guard !separator.isEmpty else { throw failure("str.\(name)() needs a separator that is not empty") }
            let fromRight = name == "rpartition"
            var parts = PythonText.split(string.text, separator: separator, limit: 1, fromRight: fromRight)
            if parts.count == 2 {
                parts.insert(separator, at: 1)
            } else {
                parts = fromRight ? ["", "", string.text] : [string.text, "", ""]
            }
            return try tuple(parts.map { .string(TemplateString($0, isMarkup: string.isMarkup)) })
        default: return nil
        }
    }

    // MARK: - Questions

    private func classified(_ name: String, _ text: String) -> Bool? {
        let scalars = text.unicodeScalars
        switch name {
        case "isalnum": return !scalars.isEmpty && scalars.allSatisfy(PythonText.isAlphanumeric)
        case "isalpha": return !scalars.isEmpty && scalars.allSatisfy(PythonText.isAlphabetic)
        case "isascii": return scalars.allSatisfy(\.isASCII)
        case "isdecimal":
            return !scalars.isEmpty && scalars.allSatisfy { $0.properties.numericType == .decimal }
        case "isdigit":
            return !scalars.isEmpty
                && scalars.allSatisfy { [.decimal, .digit].contains($0.properties.numericType) }
        case "isnumeric": return !scalars.isEmpty && scalars.allSatisfy { $0.properties.numericType != nil }
        case "isspace": return !scalars.isEmpty && scalars.allSatisfy(PythonText.isWhitespace)
        case "islower": return PythonText.isLowercase(text)
        case "isupper": return PythonText.isUppercase(text)
        default: return nil
        }
    }
}

/// Which methods Python's objects have.
enum TemplateMethods {
    /// - Returns: methods a template may call, and those that would change the object, which the sandbox hides.
    static func names(of value: TemplateValue) -> (callable: Set<String>, mutating: Set<String>) {
        switch value {
        case .string: (string, [])
        case .list: (["copy", "count", "index"], listMutating)
        case .tuple, .range: (["count", "index"], [])
        case .dictionary: (["copy", "fromkeys", "get", "items", "keys", "values"], dictionaryMutating)
        case .view(let view): (view.kind == .values ? [] : ["isdisjoint"], [])
        case .integer, .boolean: (["bit_count", "bit_length", "conjugate"], [])
        case .float: (["conjugate", "hex", "is_integer"], [])
        case .cycler: (["next", "reset"], [])
        case .function(.dict): (["fromkeys"], [])
        default: ([], [])
        }
    }

    private static let listMutating: Set<String> = [
        "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
    ]

    private static let dictionaryMutating: Set<String> = ["clear", "pop", "popitem", "setdefault", "update"]

    private static let string: Set<String> = [
        "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format",
        "format_map", "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower",
        "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "maketrans",
        "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit",
        "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "translate", "upper", "zfill",
    ]
}

extension TemplateInterpreter {
    func call(
        _ method: TemplateMethod, with arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue {
        switch method.receiver {
        case .string(let string):
            try spend(bytes: string.text.utf8.count)
            let result = try call(method.name, on: string, with: arguments)
            try spend(on: result)
            return result
        case .dictionary(let dictionary): return try call(method.name, on: dictionary, with: arguments)
        case .list(let items): return try call(method.name, on: method.receiver, items: items, with: arguments)
        case .tuple(let items): return try call(method.name, on: method.receiver, items: items, with: arguments)
        case .range:
            let items = TemplateSequence(try items(of: method.receiver))
            return try call(method.name, on: method.receiver, items: items, with: arguments)
        case .loop(let loop) where method.name == "cycle":
            guard !arguments.positional.isEmpty, arguments.keywords.isEmpty else {
                throw failure("loop.cycle() needs at least one item")
            }
            return arguments.positional[max(0, loop.index0) % arguments.positional.count]
        case .cycler(let cycler):
            _ = try bind(arguments, to: [], function: "cycler.\(method.name)()")
            if method.name == "reset" {
                cycler.position = 0
                return .none
            }
            defer { cycler.position = (cycler.position + 1) % cycler.items.items.count }
            return cycler.current
        case .float(let value) where method.name == "is_integer":
            return .boolean(value == value.rounded(.towardZero) && value.isFinite)
        default: throw failure("the method '\(method.name)' of '\(method.receiver.typeName)' is not supported")
        }
    }

    private func call(
        _ name: String, on dictionary: TemplateDictionary, with arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue {
        let function = "dict.\(name)()"
        guard arguments.keywords.isEmpty else { throw failure("\(function) takes no keyword arguments") }
        switch name {
        case "get":
            let values = try bind(arguments, to: ["key", "default"], required: 1, function: function)
            guard let key = TemplateKey(values[0]!) else {
                throw failure("a '\(values[0]!.typeName)' cannot be the key of a dictionary")
            }
            return dictionary.members[key] ?? values[1] ?? .none
        case "items", "keys", "values", "copy":
            _ = try bind(arguments, to: [], function: function)
            switch name {
            case "items": return .view(TemplateView(kind: .items, dictionary: dictionary))
            case "keys": return .view(TemplateView(kind: .keys, dictionary: dictionary))
            case "values": return .view(TemplateView(kind: .values, dictionary: dictionary))
            default: return .dictionary(dictionary)
            }
        default: throw failure("the method '\(name)' of 'dict' is not supported")
        }
    }

    private func call(
        _ name: String, on receiver: TemplateValue, items: TemplateSequence, with arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue {
        let function = "\(receiver.typeName).\(name)()"
        guard arguments.keywords.isEmpty else { throw failure("\(function) takes no keyword arguments") }
        switch name {
        case "copy":
            _ = try bind(arguments, to: [], function: function)
            return receiver
        case "count":
            let wanted = try bind(arguments, to: ["value"], required: 1, function: function)[0]!
            var count = 0
            for item in items.items where try equal(item, wanted) { count += 1 }
            return .integer(count)
        default:
            let values = try bind(arguments, to: ["value", "start", "stop"], required: 1, function: function)
            let bounds = try range(of: values, count: items.items.count)
            for index in bounds where try equal(items.items[index], values[0]!) { return .integer(index) }
            throw failure("\(function) did not find the value")
        }
    }

    /// The positions that optional `start` and `stop` arguments, at 1 and 2, leave of `count`.
    func range(of values: [TemplateValue?], count: Int) throws(ChatTemplateError) -> Range<Int> {
        var bounds = [0, count]
        for (position, value) in values.dropFirst().prefix(2).enumerated() {
            guard let value else { continue }
            if case .none = value { continue }
            guard let bound = value.index else { throw failure("a position must be an integer") }
            bounds[position] = bound < 0 ? max(0, max(bound, -count) + count) : min(bound, count)
        }
        return bounds[0]..<max(bounds[0], bounds[1])
    }
}

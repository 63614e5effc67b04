extension TemplateFilter {
    static let sequences: [String: TemplateFilter] = [
        "attr": TemplateFilter(["name"], required: 1, attribute),
        "batch": TemplateFilter(["linecount", "fill_with"], required: 1, batch),
        "count": TemplateFilter(length),
        "d": TemplateFilter(["default_value", "boolean"], standard),
        "default": TemplateFilter(["default_value", "boolean"], standard),
        "dictsort": TemplateFilter(["case_sensitive", "by", "reverse"], sortedMembers),
        "first": TemplateFilter(first),
        "items": TemplateFilter(members),
        "last": TemplateFilter(last),
        "length": TemplateFilter(length),
        "list": TemplateFilter { call throws(ChatTemplateError) in
            try call.interpreter.list(try call.interpreter.items(of: call.input))
        },
        "map": TemplateFilter(nil, map),
        "max": TemplateFilter(["case_sensitive", "attribute"]) { call throws(ChatTemplateError) in
            try extreme(call, wanted: .greater)
        },
        "min": TemplateFilter(["case_sensitive", "attribute"]) { call throws(ChatTemplateError) in
            try extreme(call, wanted: .less)
        },
        "reject": TemplateFilter(nil) { call throws(ChatTemplateError) in
            try select(call, wanted: false, byAttribute: false)
        },
        "rejectattr": TemplateFilter(nil) { call throws(ChatTemplateError) in
            try select(call, wanted: false, byAttribute: true)
        },
        "reverse": TemplateFilter(reverse),
        "select": TemplateFilter(nil) { call throws(ChatTemplateError) in
            try select(call, wanted: true, byAttribute: false)
        },
        "selectattr": TemplateFilter(nil) { call throws(ChatTemplateError) in
            try select(call, wanted: true, byAttribute: true)
        },
        "sort": TemplateFilter(["reverse", "case_sensitive", "attribute"], sort),
        "unique": TemplateFilter(["case_sensitive", "attribute"], unique),
    ]

    // MARK: - Single items

    private static func attribute(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        guard let name = call.arguments[0]?.string else { throw call.failure("needs a name") }
        // Unlike `value.name`, this never falls back to an item of that name.
        if case .dictionary(let dictionary) = call.input, dictionary[name] != nil,
            !TemplateMethods.names(of: call.input).callable.contains(name)
        {
            return .undefined("'dict object' has no attribute '\(name.prefix(80))'")
        }
        return try call.interpreter.attribute(name, of: call.input)
    }

    private static func standard(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let isReplaced = call.input.isUndefined || call.flag(1) && !call.input.isTrue
        return isReplaced ? call.arguments[0] ?? .text("") : call.input
    }

    private static func first(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        try call.interpreter.iterator(over: call.input).next() ?? .undefined("no first item, the sequence was empty")
    }

    private static func last(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        guard let items = try call.interpreter.reversedItems(of: call.input) else {
            throw call.failure("a '\(call.input.typeName)' has no last item; turn it into a list first")
        }
        return items.first ?? .undefined("no last item, the sequence was empty")
    }

    private static func length(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        if case .loop = call.input { return try call.interpreter.attribute("length", of: call.input) }
        guard let count = call.interpreter.count(of: call.input) else {
            throw call.failure("a '\(call.input.typeName)' has no length")
        }
        return .integer(count)
    }

    /// The smallest or largest item; the first among equals.
    private static func extreme(
        _ call: TemplateFilterCall, wanted: PythonNumber.Order
    ) throws(ChatTemplateError) -> TemplateValue {
        let get = try call.interpreter.getter(call.given(1))
        let iterator = try call.interpreter.iterator(over: call.input)
        guard var best = try iterator.next() else { return .undefined("no item, the sequence was empty") }
        var bestKey = folded(try get(best), isCaseSensitive: call.flag(0))
        while let item = try iterator.next() {
            let key = folded(try get(item), isCaseSensitive: call.flag(0))
            if try call.interpreter.order(key, bestKey, wanted == .less ? "<" : ">") == wanted {
                best = item
                bestKey = key
            }
        }
        return best
    }

    /// Case is ignored by lowering it.
    private static func folded(_ value: TemplateValue, isCaseSensitive: Bool) -> TemplateValue {
        guard !isCaseSensitive, let text = value.string else { return value }
        return .text(PythonText.lowercased(text))
    }

    // MARK: - Whole sequences

    private static func batch(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let interpreter = call.interpreter
        let filler = call.given(1)
        return try call.lazily { () throws(ChatTemplateError) in
            // A size that is no number is never reached, and everything lands in one batch, as in jinja2.
            let size = call.arguments[0]?.index ?? .max
            guard filler == nil || size < .max else { throw call.failure("'linecount' must be an integer") }
            let source = try interpreter.iterator(over: call.input)
            return TemplateIterator(depth: call.depth) { () throws(ChatTemplateError) in
                var batch: [TemplateValue] = []
                while batch.count < max(1, size), let item = try source.next() {
                    try interpreter.spend()
                    batch.append(item)
                }
                guard !batch.isEmpty else { return nil }
                if let filler, batch.count < size {
                    try interpreter.spend(size - batch.count)
                    batch += repeatElement(filler, count: size - batch.count)
                }
                return try interpreter.list(batch)
            }
        }
    }

    private static func sortedMembers(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        guard case .dictionary(let dictionary) = call.input else {
            throw call.failure("needs a dictionary, found '\(call.input.typeName)'")
        }
        let by = try call.text(1, default: "key")
        guard by == "key" || by == "value" else { throw call.failure("'by' must be \"key\" or \"value\"") }
        var keyed: [(key: TemplateValue, item: TemplateValue)] = []
        for (key, value) in dictionary.members {
            keyed.append(
                (
                    folded(by == "key" ? key.value : value, isCaseSensitive: call.flag(0)),
                    try call.interpreter.tuple([key.value, value])
                ))
        }
        return try sorted(keyed, call, reverse: 2)
    }

    private static func sort(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let interpreter = call.interpreter
        var attributes: [TemplateValue?] = [call.given(2)]
        if let names = call.given(2)?.string {
            try interpreter.spend(names.utf8.count)
            attributes = PythonText.split(names, separator: ",", limit: .max, fromRight: false).map { .text($0) }
        }
        var getters: [(TemplateValue) throws(ChatTemplateError) -> TemplateValue] = []
        for attribute in attributes { getters.append(try interpreter.getter(attribute)) }
        var keyed: [(key: TemplateValue, item: TemplateValue)] = []
        for item in try interpreter.items(of: call.input) {
            var keys: [TemplateValue] = []
            for get in getters {
                keys.append(folded(try get(item), isCaseSensitive: call.flag(1)))
            }
            keyed.append((try interpreter.list(keys), item))
        }
        return try sorted(keyed, call, reverse: 0)
    }

    /// Sorting in reverse keeps the order of equal items, as in Python.
    /// - Parameter reverse: position of the argument that asks for it.
    private static func sorted(
        _ keyed: [(key: TemplateValue, item: TemplateValue)], _ call: TemplateFilterCall, reverse: Int
    ) throws(ChatTemplateError) -> TemplateValue {
        let wanted: PythonNumber.Order = try call.integer(reverse, default: 0) == 0 ? .less : .greater
        let sorted = try call.interpreter.sorted(keyed) { left, right throws(ChatTemplateError) in
            try call.interpreter.order(left.key, right.key) == wanted
        }
        return try call.interpreter.list(sorted.map(\.item))
    }

    private static func reverse(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        if case .string(let string) = call.input {
            let text = PythonText.string(string.text.unicodeScalars.reversed())
            return .string(TemplateString(text, isMarkup: string.isMarkup))
        }
        guard let items = try call.interpreter.reversedItems(of: call.input) else {
            return try call.interpreter.list(try call.interpreter.items(of: call.input).reversed())
        }
        try call.interpreter.check(depth: call.depth)
        return .iterator(TemplateIterator(items: items, depth: call.depth))
    }

    private static func unique(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let interpreter = call.interpreter
        let get = try interpreter.getter(call.given(1))
        return try call.lazily { () throws(ChatTemplateError) in
            let source = try interpreter.iterator(over: call.input)
            var seen: Set<TemplateKey> = []
            return TemplateIterator(depth: call.depth) { () throws(ChatTemplateError) in
                while let item = try source.next() {
                    try interpreter.spend()
                    guard let key = TemplateKey(folded(try get(item), isCaseSensitive: call.flag(0))) else {
                        throw call.failure("an item that cannot be the key of a dictionary")
                    }
                    if seen.insert(key).inserted { return item }
                }
                return nil
            }
        }
    }

    private static func members(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let interpreter = call.interpreter
        return try call.lazily { () throws(ChatTemplateError) in
            switch call.input {
            case .undefined: return TemplateIterator(items: [], depth: 0)
            case .dictionary(let dictionary):
                return try interpreter.iterator(over: .view(TemplateView(kind: .items, dictionary: dictionary)))
            default: throw call.failure("needs a dictionary, found '\(call.input.typeName)'")
            }
        }
    }
}

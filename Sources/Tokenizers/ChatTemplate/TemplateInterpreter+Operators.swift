extension TemplateInterpreter {
    // MARK: - Comparison

    func compare(
        _ left: TemplateValue, _ comparison: TemplateExpression.Comparison, _ right: TemplateValue
    ) throws(ChatTemplateError) -> Bool {
        switch comparison {
        case .equal: try equal(left, right)
        case .notEqual: !(try equal(left, right))
        case .contained: try contains(right, left)
        case .notContained: !(try contains(right, left))
        case .less: try isOrdered(left, right, "<") { $0 == .less }
        case .lessOrEqual: try isOrdered(left, right, "<=") { $0 == .less || $0 == .equal }
        case .greater: try isOrdered(left, right, ">") { $0 == .greater }
        case .greaterOrEqual: try isOrdered(left, right, ">=") { $0 == .greater || $0 == .equal }
        }
    }

    /// Python's `==`.
    func equal(_ left: TemplateValue, _ right: TemplateValue) throws(ChatTemplateError) -> Bool {
        try spend()
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let left), .string(let right)):
            try spend(bytes: min(left.text.utf8.count, right.text.utf8.count))
            return PythonText.equal(left.text, right.text)
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            return try equal(left.items, right.items)
        case (.dictionary(let left), .dictionary(let right)):
            return try equal(left, right)
        case (.view(let left), .view(let right)):
            guard left.kind == right.kind, left.kind != .values,
                left.dictionary.members.count
                    == right.dictionary.members.count
            else { return false }
            try spend(left.dictionary.members.count)
            return try left.kind == .items
                ? equal(left.dictionary, right.dictionary)
                : left.dictionary.members.keys.allSatisfy { right.dictionary.members[$0] != nil }
        case (.range(let left), .range(let right)):
            return left.hasSameItems(as: right)
        case (.namespace(let left), .namespace(let right)): return left === right
        case (.macro(let left), .macro(let right)): return left === right
        case (.loop(let left), .loop(let right)): return left === right
        case (.iterator(let left), .iterator(let right)): return left === right
        case (.cycler(let left), .cycler(let right)): return left === right
        case (.joiner(let left), .joiner(let right)): return left === right
        case (.function(let left), .function(let right)): return left == right
        default: return PythonNumber.compare(left, right) == .equal
        }
    }

    private func equal(_ left: [TemplateValue], _ right: [TemplateValue]) throws(ChatTemplateError) -> Bool {
        try enter()
        defer { leave() }
        guard left.count == right.count else { return false }
        for (left, right) in zip(left, right) where !(try equal(left, right)) { return false }
        return true
    }

    private func equal(_ left: TemplateDictionary, _ right: TemplateDictionary) throws(ChatTemplateError) -> Bool {
        try enter()
        defer { leave() }
        guard left.members.count == right.members.count else { return false }
        for (key, value) in left.members {
            guard let other = right.members[key], try equal(value, other) else { return false }
        }
        return true
    }

    /// Python's `<` and its kin.
    private func isOrdered(
        _ left: TemplateValue, _ right: TemplateValue, _ symbol: String, _ accept: (PythonNumber.Order) -> Bool
    ) throws(ChatTemplateError) -> Bool {
        accept(try order(left, right, symbol))
    }

    func order(
        _ left: TemplateValue, _ right: TemplateValue, _ symbol: String = "<"
    ) throws(ChatTemplateError) -> PythonNumber.Order {
        try spend()
        switch (left, right) {
        case (.string(let left), .string(let right)):
            try spend(bytes: min(left.text.utf8.count, right.text.utf8.count))
            if PythonText.equal(left.text, right.text) { return .equal }
            return left.text.utf8.lexicographicallyPrecedes(right.text.utf8) ? .less : .greater
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            return try order(left.items, right.items, symbol)
        case (.undefined(let message), _), (_, .undefined(let message)): throw failure(message)
        default:
            guard left.number != nil, right.number != nil else {
                throw failure(
                    "'\(symbol)' is not supported between '\(left.typeName)' and '\(right.typeName)'")
            }
            return PythonNumber.compare(left, right)
        }
    }

    private func order(
        _ left: [TemplateValue], _ right: [TemplateValue], _ symbol: String
    ) throws(ChatTemplateError) -> PythonNumber.Order {
        try enter()
        defer { leave() }
        for (left, right) in zip(left, right) where !(try equal(left, right)) {
            return try order(left, right, symbol)
        }
        return left.count < right.count ? .less : left.count > right.count ? .greater : .equal
    }

    /// Python's `item in container`.
    func contains(_ container: TemplateValue, _ item: TemplateValue) throws(ChatTemplateError) -> Bool {
        switch container {
        case .string(let string):
            guard let needle = item.string else {
                throw failure("'in' a string needs a string on its left, not '\(item.typeName)'")
            }
            try spend(bytes: string.text.utf8.count)
            try spend(bytes: needle.utf8.count)
            return PythonText.contains(needle, in: string.text)
        case .dictionary(let dictionary): return try contains(dictionary, item)
        case .view(let view) where view.kind == .keys: return try contains(view.dictionary, item)
        case .range(let range):
            if let item = item.index {
                guard range.count > 0 else { return false }
                let (low, high) = (min(range.start, range[range.count - 1]), max(range.start, range[range.count - 1]))
                return item >= low && item <= high && (item - range.start) % range.step == 0
            }
        default: break
        }
        let iterator = try iterator(over: container)
        while let candidate = try iterator.next() {
            if try equal(candidate, item) { return true }
        }
        return false
    }

    private func contains(_ dictionary: TemplateDictionary, _ item: TemplateValue) throws(ChatTemplateError) -> Bool {
        try spend(on: item)
        guard let key = TemplateKey(item) else {
            throw failure("a '\(item.typeName)' cannot be the key of a dictionary")
        }
        return dictionary.members[key] != nil
    }
}

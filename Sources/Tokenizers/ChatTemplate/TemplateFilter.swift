/// A filter: `input|name(arguments)`.
struct TemplateFilter: Sendable {
    typealias Body = @Sendable (TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue

    /// Parameter names after the input, for keyword arguments; nil if `body` reads the arguments itself.
    let parameters: [String]?
    let required: Int
    let body: Body

    init(_ parameters: [String]?, required: Int = 0, _ body: @escaping Body) {
        self.parameters = parameters
        self.required = required
        self.body = body
    }

    init(_ body: @escaping Body) { self.init([], body) }

    /// Every filter there is, by name. Those of jinja2 that only serve web pages are left out.
    static let named: [String: TemplateFilter] = text.merging(sequences) { first, _ in first }
        .merging(numbers) { first, _ in first }
}

/// One use of a filter.
struct TemplateFilterCall {
    let interpreter: TemplateInterpreter
    let name: String
    let input: TemplateValue
    /// In the order of the filter's parameters, nil where left out.
    let arguments: [TemplateValue?]
    let unbound: TemplateArguments

    func failure(_ message: String) -> ChatTemplateError { interpreter.failure("the filter '\(name)': \(message)") }

    /// The input as a string; a string marked as HTML stays so.
    func softString() throws(ChatTemplateError) -> TemplateString {
        if case .string(let string) = input { return string }
        return TemplateString(try interpreter.text(of: input))
    }

    func text(_ index: Int, default standard: String) throws(ChatTemplateError) -> String {
        guard let argument = arguments[index] else { return standard }
        return try interpreter.text(of: argument)
    }

    /// An optional argument for which none stands for its absence.
    func given(_ index: Int) -> TemplateValue? {
        if case .some(.none) = arguments[index] { return nil }
        return arguments[index]
    }

    func flag(_ index: Int, default standard: Bool = false) -> Bool { arguments[index]?.isTrue ?? standard }

    func integer(_ index: Int, default standard: Int) throws(ChatTemplateError) -> Int {
        guard let argument = arguments[index] else { return standard }
        guard let value = argument.index else {
            throw failure("argument \(index + 1) must be an integer, found '\(argument.typeName)'")
        }
        return value
    }

    /// What an iterator made by this filter holds on to.
    var depth: Int {
        1 + (unbound.positional + unbound.keywords.map(\.value)).reduce(input.depth) { max($0, $1.depth) }
    }

    /// An iterator whose first item is worked out only when asked for, as in a Python generator.
    func lazily(
        _ make: @escaping () throws(ChatTemplateError) -> TemplateIterator
    ) throws(ChatTemplateError) -> TemplateValue {
        try interpreter.check(depth: depth)
        var made: TemplateIterator?
        return .iterator(
            TemplateIterator(depth: depth) { [interpreter] () throws(ChatTemplateError) in
                // An iterator over an iterator over an iterator recurses as deeply as it is long.
                try interpreter.enter()
                defer { interpreter.leave() }
                let iterator: TemplateIterator
                if let made { iterator = made } else { iterator = try make() }
                made = iterator
                return try iterator.next()
            })
    }
}

extension TemplateInterpreter {
    func apply(
        filter name: String, to input: TemplateValue, with arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue {
        guard let filter = TemplateFilter.named[name] else {
            throw failure("there is no filter '\(name.prefix(80))'")
        }
        try spend(on: input)
        try spend(on: arguments)
        var bound: [TemplateValue?] = []
        if let parameters = filter.parameters {
            bound = try bind(arguments, to: parameters, required: filter.required, function: "the filter '\(name)'")
        }
        let result = try filter.body(
            TemplateFilterCall(interpreter: self, name: name, input: input, arguments: bound, unbound: arguments))
        // Filters that map characters can make a text somewhat longer.
        try spend(on: result)
        return result
    }

    /// A way to fetch `attribute` from an item, as `map` and `sort` take it: a path such as "function.name" or "0.id".
    func getter(_ attribute: TemplateValue?) throws(ChatTemplateError) -> (
        (TemplateValue) throws(ChatTemplateError) -> TemplateValue
    ) {
        var path: [TemplateValue] = []
        switch attribute {
        case nil, .some(.none): break
        case .some(.string(let string)):
            try spend(string.text.utf8.count)
            for part in PythonText.split(string.text, separator: ".", limit: .max, fromRight: false) {
                let isNumber = !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
                path.append(isNumber ? Int(part).map { .integer($0) } ?? .text(part) : .text(part))
            }
        case .some(let other): path = [other]
        }
        try spend(path.count)
        return { value throws(ChatTemplateError) in
            var value = value
            for part in path {
                try self.spend()
                value = try self.item(part, of: value)
            }
            return value
        }
    }

    /// Sorts stably, and without ever trusting `isBefore` to be a proper order.
    /// - Complexity: O(n log n) comparisons.
    func sorted<Item>(
        _ items: [Item], by isBefore: (Item, Item) throws(ChatTemplateError) -> Bool
    ) throws(ChatTemplateError) -> [Item] {
        guard items.count > 1 else { return items }
        var source = items
        var width = 1
        while width < items.count {
            try spend(items.count)
            var merged: [Item] = []
            merged.reserveCapacity(items.count)
            for start in stride(from: 0, to: items.count, by: 2 * width) {
                var left = source[start..<min(start + width, items.count)]
                var right = source[left.endIndex..<min(start + 2 * width, items.count)]
                while let first = left.first, let second = right.first {
                    if try isBefore(second, first) {
                        merged.append(second)
                        right.removeFirst()
                    } else {
                        merged.append(first)
                        left.removeFirst()
                    }
                }
                merged += left + right
            }
            source = merged
            width *= 2
        }
        return source
    }
}

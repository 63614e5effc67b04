extension TemplateInterpreter {
    /// The items of `value` one by one, as a `for` loop takes them.
    func iterator(over value: TemplateValue) throws(ChatTemplateError) -> TemplateIterator {
        switch value {
        case .iterator(let iterator): return iterator
        case .loop(let loop):
            return TemplateIterator(depth: loop.depth) { () throws(ChatTemplateError) in
                guard let item = try loop.advance() else { return nil }
                return .tuple(TemplateSequence([item, .loop(loop)]))
            }
        case .range(let range):
            var index = 0
            return TemplateIterator(depth: 0) { () throws(ChatTemplateError) in
                guard index < range.count else { return nil }
                defer { index += 1 }
                return .integer(range[index])
            }
        default:
            let items = try items(of: value)
            return TemplateIterator(items: items, depth: value.depth)
        }
    }

    /// All items of `value` at once; an iterator is used up.
    func items(of value: TemplateValue) throws(ChatTemplateError) -> [TemplateValue] {
        switch value {
        case .undefined: return []
        case .list(let items), .tuple(let items): return items.items
        case .dictionary(let dictionary):
            try spend(dictionary.members.count)
            return dictionary.members.keys.map(\.value)
        case .view(let view):
            try spend(view.dictionary.members.count)
            return view.elements
        case .string(let string):
            let scalars = string.text.unicodeScalars
            try spend(scalars.count)
            return scalars.map { .text(String($0)) }
        case .iterator, .loop, .range:
            let iterator = try iterator(over: value)
            var items: [TemplateValue] = []
            while let item = try iterator.next() {
                try spend()
                items.append(item)
            }
            return items
        default: throw failure("a '\(value.typeName)' cannot be iterated over")
        }
    }

    func isIterable(_ value: TemplateValue) -> Bool {
        switch value {
        case .undefined, .list, .tuple, .dictionary, .view, .string, .iterator, .loop, .range: true
        default: false
        }
    }

    /// Python's `len`, or nil for what has none.
    func count(of value: TemplateValue) -> Int? {
        switch value {
        case .undefined: 0
        case .string(let string): PythonText.length(string.text)
        case .list(let items), .tuple(let items): items.items.count
        case .dictionary(let dictionary): dictionary.members.count
        case .view(let view): view.dictionary.members.count
        case .range(let range): range.count
        default: nil
        }
    }

    /// The items in reverse order where Python's `reversed` accepts the value, else nil.
    func reversedItems(of value: TemplateValue) throws(ChatTemplateError) -> [TemplateValue]? {
        switch value {
        case .undefined, .list, .tuple, .dictionary, .view, .string, .range:
            let items = try items(of: value)
            try spend(items.count)
            return items.reversed()
        default: return nil
        }
    }
}

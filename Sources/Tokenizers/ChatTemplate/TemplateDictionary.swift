import OrderedCollections

/// A dictionary in order of insertion.
struct TemplateDictionary {
    private(set) var members: OrderedDictionary<TemplateKey, TemplateValue> = [:]
    private(set) var depth = 1

    /// As in Python, an equal key keeps its place and its first form.
    mutating func set(_ value: TemplateValue, for key: TemplateKey) {
        members[key] = value
        depth = max(depth, 1 + value.depth, 1 + key.value.depth)
    }

    subscript(key: String) -> TemplateValue? { members[TemplateKey(text: key)] }
}

/// A value that can be the key of a dictionary. Keys are equal as in Python: 1, 1.0 and True are one key.
struct TemplateKey: Hashable {
    let value: TemplateValue

    init(text: String) { value = .text(text) }

    /// nil for what Python cannot hash, such as a list.
    init?(_ value: TemplateValue) {
        switch value {
        case .undefined, .none, .boolean, .integer, .float, .string, .range: break
        case .tuple(let items):
            guard items.items.allSatisfy({ TemplateKey($0) != nil }) else { return nil }
        default: return nil
        }
        self.value = value
    }

    static func == (left: TemplateKey, right: TemplateKey) -> Bool { equal(left.value, right.value) }

    private static func equal(_ left: TemplateValue, _ right: TemplateValue) -> Bool {
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): true
        case (.string(let left), .string(let right)): PythonText.equal(left.text, right.text)
        case (.range(let left), .range(let right)): left.hasSameItems(as: right)
        case (.tuple(let left), .tuple(let right)):
            left.items.count == right.items.count && zip(left.items, right.items).allSatisfy { equal($0, $1) }
        default: PythonNumber.compare(left, right) == .equal
        }
    }

    func hash(into hasher: inout Hasher) { Self.hash(value, into: &hasher) }

    private static func hash(_ value: TemplateValue, into hasher: inout Hasher) {
        switch value {
        case .string(let string): hasher.combine(string.text)
        case .range(let range): hasher.combine(range.count)
        case .tuple(let items): for item in items.items { hash(item, into: &hasher) }
        case .float(let value):
            if let integer = Int(exactly: value) { hasher.combine(integer) } else { hasher.combine(value) }
        default: hasher.combine(value.index ?? -1)
        }
    }
}

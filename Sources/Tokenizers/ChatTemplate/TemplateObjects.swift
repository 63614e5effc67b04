import OrderedCollections

/// Items produced one at a time and only once, as by a Python generator.
final class TemplateIterator {
    /// As ``TemplateValue/depth``, counting what the iterator draws from.
    let depth: Int
    private let produce: () throws(ChatTemplateError) -> TemplateValue?
    private var isExhausted = false

    init(depth: Int, _ produce: @escaping () throws(ChatTemplateError) -> TemplateValue?) {
        self.depth = depth
        self.produce = produce
    }

    convenience init(items: [TemplateValue], depth: Int) {
        var rest = items[...]
        self.init(depth: depth) { () throws(ChatTemplateError) in rest.popFirst() }
    }

    func next() throws(ChatTemplateError) -> TemplateValue? {
        guard !isExhausted else { return nil }
        do throws(ChatTemplateError) {
            if let value = try produce() { return value }
        } catch {
            isExhausted = true
            throw error
        }
        isExhausted = true
        return nil
    }
}

/// The only thing a template can change: `namespace(...)` and `{% set ns.name = value %}`.
final class TemplateNamespace {
    var attributes: OrderedDictionary<String, TemplateValue> = [:]
}

/// The variable `loop` of a `for` body. It looks one item ahead, but only when asked whether there is one, because a
/// filtered loop evaluates its condition between two runs of the body.
final class TemplateLoop {
    private(set) var index0 = -1
    private(set) var previous: TemplateValue?
    private(set) var current: TemplateValue?
    private var ahead: TemplateValue?
    private var source: TemplateIterator
    private var knownLength: Int?
    /// Loops around this one in the same scope, for `loop.depth`.
    let depth0 = 0

    var depth: Int {
        1 + max(source.depth, previous?.depth ?? 0, current?.depth ?? 0, ahead?.depth ?? 0)
    }

    init(source: TemplateIterator, length: Int?) {
        self.source = source
        knownLength = length
    }

    func advance() throws(ChatTemplateError) -> TemplateValue? {
        let item: TemplateValue?
        if let ahead {
            item = ahead
            self.ahead = nil
        } else {
            item = try source.next()
        }
        guard let item else { return nil }
        index0 += 1
        previous = current
        current = item
        return item
    }

    func peek() throws(ChatTemplateError) -> TemplateValue? {
        if ahead == nil { ahead = try source.next() }
        return ahead
    }

    /// The number of items; an unknown one is found by drawing all that are left.
    func length(collecting collect: (TemplateIterator) throws(ChatTemplateError) -> [TemplateValue])
        throws(ChatTemplateError) -> Int
    {
        if let knownLength { return knownLength }
        let rest = try collect(source)
        let length = rest.count + index0 + 1 + (ahead == nil ? 0 : 1)
        source = TemplateIterator(items: rest, depth: rest.reduce(0) { max($0, $1.depth) })
        knownLength = length
        return length
    }

    /// Lets go of every item, so that a loop kept in a namespace cannot hold on to itself.
    func finish() {
        previous = nil
        current = nil
        ahead = nil
        source = TemplateIterator(items: [], depth: 0)
    }
}

/// A macro, or the body of a `call` block, with the scope it was written in.
final class TemplateMacro {
    let definition: TemplateStatement.Macro
    let scope: TemplateScope

    init(definition: TemplateStatement.Macro, scope: TemplateScope) {
        self.definition = definition
        self.scope = scope
    }
}

final class TemplateCycler {
    let items: TemplateSequence
    var position = 0

    init(items: TemplateSequence) { self.items = items }

    var current: TemplateValue { items.items[position] }
}

final class TemplateJoiner {
    let separator: TemplateValue
    var isUsed = false

    init(separator: TemplateValue) { self.separator = separator }
}

/// The functions every template may call.
enum TemplateFunction: String {
    case range
    case dict
    case namespace
    case cycler
    case joiner
    case raiseException = "raise_exception"
    case strftimeNow = "strftime_now"
}

/// The variables of one scope. A loop body, macro, `with` and captured block each have their own; `if` has none.
final class TemplateScope {
    var variables: [String: TemplateValue] = [:]
    let parent: TemplateScope?
    private let names: ScopeNames

    init(parent: TemplateScope?, names: ScopeNames = ScopeNames()) {
        self.parent = parent
        self.names = names
        for name in names.assignedFirst where !isKnown(name, to: parent) {
            variables[name] = .undefined("'\(name)' is undefined")
        }
    }

    private func isKnown(_ name: String, to scope: TemplateScope?) -> Bool {
        var scope = scope
        while let current = scope {
            if current.names.known.contains(name) { return true }
            scope = current.parent
        }
        return false
    }

    func value(of name: String) -> TemplateValue? {
        var scope: TemplateScope? = self
        while let current = scope {
            if let value = current.variables[name] { return value }
            scope = current.parent
        }
        return nil
    }
}

/// A value of the template language, with the semantics of the Python object jinja2 would hold.
///
/// Everything but namespaces, iterators and loops is immutable: the sandbox that chat templates run in forbids
/// changing lists and dictionaries.
enum TemplateValue {
    /// A missing variable or member; the text is the error that using it gives.
    case undefined(String)
    case none
    case boolean(Bool)
    case integer(Int)
    case float(Double)
    case string(TemplateString)
    case list(TemplateSequence)
    case tuple(TemplateSequence)
    case dictionary(TemplateDictionary)
    case view(TemplateView)
    case range(TemplateRange)
    case iterator(TemplateIterator)
    case namespace(TemplateNamespace)
    case loop(TemplateLoop)
    case macro(TemplateMacro)
    case function(TemplateFunction)
    case method(TemplateMethod)
    case cycler(TemplateCycler)
    case joiner(TemplateJoiner)

    static func text(_ text: String) -> TemplateValue { .string(TemplateString(text)) }
}

/// A string of code points. `isMarkup` marks text that `safe` or `escape` declared to be HTML: adding anything to it
/// escapes what is added.
struct TemplateString {
    let text: String
    let isMarkup: Bool

    init(_ text: String, isMarkup: Bool = false) {
        self.text = text
        self.isMarkup = isMarkup
    }
}

/// The items of a list or tuple.
struct TemplateSequence {
    let items: [TemplateValue]
    /// Levels of containers, this one included; see ``TemplateInterpreter/maximumValueDepth``.
    let depth: Int

    init(_ items: [TemplateValue]) {
        self.items = items
        depth = 1 + items.reduce(0) { max($0, $1.depth) }
    }
}

/// What `keys()`, `values()` and `items()` of a dictionary give.
struct TemplateView {
    enum Kind { case keys, values, items }

    let kind: Kind
    let dictionary: TemplateDictionary

    var elements: [TemplateValue] {
        switch kind {
        case .keys: dictionary.members.keys.map(\.value)
        case .values: Array(dictionary.members.values)
        case .items:
            dictionary.members.map { .tuple(TemplateSequence([$0.key.value, $0.value])) }
        }
    }
}

/// Python's `range`: `count` integers from `start` on, `step` apart.
struct TemplateRange {
    let start: Int
    let stop: Int
    let step: Int
    let count: Int

    /// nil if `step` is zero, or if a bound is so large that arithmetic with it could overflow.
    init?(start: Int, stop: Int, step: Int) {
        let bound = UInt(1) << 60
        guard step != 0, start.magnitude < bound, stop.magnitude < bound, step.magnitude < bound else { return nil }
        let distance = stop - start
        self.start = start
        self.stop = stop
        self.step = step
        let isEmpty = step > 0 ? distance <= 0 : distance >= 0
        count = isEmpty ? 0 : (distance - (step > 0 ? 1 : -1)) / step + 1
    }

    subscript(index: Int) -> Int { start + index * step }

    func hasSameItems(as other: TemplateRange) -> Bool {
        count == other.count && (count == 0 || start == other.start) && (count < 2 || step == other.step)
    }
}

/// A method looked up on a value, ready to be called.
final class TemplateMethod {
    let receiver: TemplateValue
    let name: String

    init(receiver: TemplateValue, name: String) {
        self.receiver = receiver
        self.name = name
    }
}

extension TemplateValue {
    /// Levels of containers below and including this value.
    ///
    /// Namespaces, scopes and macros count as leaves: the interpreter keeps a list of them and takes them apart one by
    /// one, so that neither chains nor cycles of them can overflow the stack or leak.
    var depth: Int {
        switch self {
        case .list(let items), .tuple(let items): items.depth
        case .dictionary(let dictionary): dictionary.depth
        case .view(let view): view.dictionary.depth + 1
        case .iterator(let iterator): iterator.depth
        case .loop(let loop): loop.depth
        case .method(let method): method.receiver.depth + 1
        case .cycler(let cycler): cycler.items.depth + 1
        case .joiner(let joiner): joiner.separator.depth + 1
        default: 0
        }
    }

    /// The name Python gives the value's type in its error messages.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .boolean: "bool"
        case .integer: "int"
        case .float: "float"
        case .string(let string): string.isMarkup ? "Markup" : "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dictionary: "dict"
        case .view(let view):
            switch view.kind {
            case .keys: "dict_keys"
            case .values: "dict_values"
            case .items: "dict_items"
            }
        case .range: "range"
        case .iterator: "generator"
        case .namespace: "Namespace"
        case .loop: "LoopContext"
        case .macro: "Macro"
        case .function: "function"
        case .method: "builtin_function_or_method"
        case .cycler: "Cycler"
        case .joiner: "Joiner"
        }
    }

    /// Python's truth value.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .boolean(let value): value
        case .integer(let value): value != 0
        case .float(let value): value != 0
        case .string(let string): !string.text.isEmpty
        case .list(let items), .tuple(let items): !items.items.isEmpty
        case .dictionary(let dictionary): !dictionary.members.isEmpty
        case .view(let view): !view.dictionary.members.isEmpty
        case .range(let range): range.count > 0
        default: true
        }
    }

    var isUndefined: Bool {
        if case .undefined = self { true } else { false }
    }

    /// The value as an integer where Python accepts one: integers and booleans.
    var index: Int? {
        switch self {
        case .integer(let value): value
        case .boolean(let value): value ? 1 : 0
        default: nil
        }
    }

    /// The value as a float if it is a number.
    var number: Double? {
        if case .float(let value) = self { value } else { index.map(Double.init) }
    }

    var string: String? {
        if case .string(let string) = self { string.text } else { nil }
    }
}

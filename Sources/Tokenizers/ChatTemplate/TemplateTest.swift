/// A test: `input is name(arguments)`.
struct TemplateTest: Sendable {
    typealias Body =
        @Sendable (
            TemplateInterpreter, TemplateValue, [TemplateValue]
        ) throws(ChatTemplateError) -> Bool

    let argumentCount: Int
    let body: Body

    private init(_ argumentCount: Int = 0, _ body: @escaping Body) {
        self.argumentCount = argumentCount
        self.body = body
    }

    /// Every test there is, by name.
    static let named: [String: TemplateTest] = kinds.merging(relations) { first, _ in first }

    /// Tests of what a value is.
    private static let kinds: [String: TemplateTest] = [
        "boolean": isOneOf { if case .boolean = $0 { true } else { false } },
        "callable": isOneOf { value in
            switch value {
            case .undefined, .loop, .macro, .function, .method, .joiner: true
            default: false
            }
        },
        "defined": isOneOf { !$0.isUndefined },
        "escaped": isOneOf { if case .string(let string) = $0 { string.isMarkup } else { false } },
        "false": isOneOf { if case .boolean(false) = $0 { true } else { false } },
        "float": isOneOf { if case .float = $0 { true } else { false } },
        "integer": isOneOf { if case .integer = $0 { true } else { false } },
        "iterable": TemplateTest { interpreter, value, _ in interpreter.isIterable(value) },
        "lower": TemplateTest { interpreter, value, _ throws(ChatTemplateError) in
            PythonText.isLowercase(try interpreter.text(of: value))
        },
        "mapping": isOneOf { if case .dictionary = $0 { true } else { false } },
        "none": isOneOf { if case .none = $0 { true } else { false } },
        "number": isOneOf { $0.number != nil },
        "sequence": isOneOf { value in
            switch value {
            case .undefined, .string, .list, .tuple, .dictionary, .range: true
            default: false
            }
        },
        "string": isOneOf { $0.string != nil },
        "true": isOneOf { if case .boolean(true) = $0 { true } else { false } },
        "undefined": isOneOf { $0.isUndefined },
        "upper": TemplateTest { interpreter, value, _ throws(ChatTemplateError) in
            PythonText.isUppercase(try interpreter.text(of: value))
        },
    ]

    /// Tests against another value, and questions about the language itself.
    private static let relations: [String: TemplateTest] = [
        "==": comparing(.equal), "eq": comparing(.equal), "equalto": comparing(.equal),
        "!=": comparing(.notEqual), "ne": comparing(.notEqual),
        "<": comparing(.less), "lt": comparing(.less), "lessthan": comparing(.less),
        "<=": comparing(.lessOrEqual), "le": comparing(.lessOrEqual),
        ">": comparing(.greater), "gt": comparing(.greater), "greaterthan": comparing(.greater),
        ">=": comparing(.greaterOrEqual), "ge": comparing(.greaterOrEqual),
        "in": comparing(.contained),
        "divisibleby": TemplateTest(1) { interpreter, value, arguments throws(ChatTemplateError) in
            try isRemainder(of: value, by: arguments[0], 0, interpreter)
        },
        "even": TemplateTest { interpreter, value, _ throws(ChatTemplateError) in
            try isRemainder(of: value, by: .integer(2), 0, interpreter)
        },
        "odd": TemplateTest { interpreter, value, _ throws(ChatTemplateError) in
            try isRemainder(of: value, by: .integer(2), 1, interpreter)
        },
        "filter": isName { TemplateFilter.named[$0] != nil },
        "test": isName { TemplateTest.named[$0] != nil },
        "sameas": TemplateTest(1, isSame),
    ]

    private static func isOneOf(_ body: @escaping @Sendable (TemplateValue) -> Bool) -> TemplateTest {
        TemplateTest { _, value, _ in body(value) }
    }

    private static func isName(_ isKnown: @escaping @Sendable (String) -> Bool) -> TemplateTest {
        TemplateTest { interpreter, value, _ throws(ChatTemplateError) in
            guard TemplateKey(value) != nil else {
                throw interpreter.failure("a '\(value.typeName)' cannot be looked up by name")
            }
            return value.string.map(isKnown) ?? false
        }
    }

    private static func comparing(_ comparison: TemplateExpression.Comparison) -> TemplateTest {
        TemplateTest(1) { interpreter, value, arguments throws(ChatTemplateError) in
            try interpreter.compare(value, comparison, arguments[0])
        }
    }

    /// Python's `is`, as far as values without identity have one: equal constants are one object.
    @Sendable private static func isSame(
        _ interpreter: TemplateInterpreter, _ value: TemplateValue, _ arguments: [TemplateValue]
    ) throws(ChatTemplateError) -> Bool {
        switch value {
        case .list, .tuple, .dictionary: return false
        default:
            guard value.typeName == arguments[0].typeName else { return false }
            return try interpreter.equal(value, arguments[0])
        }
    }

    private static func isRemainder(
        of value: TemplateValue, by divisor: TemplateValue, _ expected: Int, _ interpreter: TemplateInterpreter
    ) throws(ChatTemplateError) -> Bool {
        try interpreter.equal(try interpreter.arithmetic(.remainder, value, divisor), .integer(expected))
    }
}

extension TemplateInterpreter {
    func apply(
        test name: String, to input: TemplateValue, with arguments: TemplateArguments
    ) throws(ChatTemplateError) -> Bool {
        guard let test = TemplateTest.named[name] else { throw failure("there is no test '\(name.prefix(80))'") }
        guard arguments.positional.count + arguments.keywords.count == test.argumentCount else {
            throw failure("the test '\(name)' takes \(test.argumentCount) arguments")
        }
        try spend(on: input)
        try spend(on: arguments)
        return try test.body(self, input, arguments.positional + arguments.keywords.map(\.value))
    }
}

/// The evaluated arguments of a call.
struct TemplateArguments {
    var positional: [TemplateValue] = []
    var keywords: [(name: String, value: TemplateValue)] = []

    func keyword(_ name: String) -> TemplateValue? { keywords.first { $0.name == name }?.value }
}

extension TemplateInterpreter {
    /// Arguments in the order of `names`, nil for those left out.
    ///
    /// - Parameters:
    ///   - required: how many of `names` must be given.
    ///   - function: what an error message calls the function.
    func bind(
        _ arguments: TemplateArguments, to names: [String], required: Int = 0, function: String
    ) throws(ChatTemplateError) -> [TemplateValue?] {
        guard arguments.positional.count <= names.count else {
            throw failure(
                "\(function) takes at most \(names.count) arguments, found \(arguments.positional.count)")
        }
        var values: [TemplateValue?] = arguments.positional
        values += repeatElement(nil, count: names.count - values.count)
        for keyword in arguments.keywords {
            guard let index = names.firstIndex(of: keyword.name) else {
                throw failure("\(function) takes no argument '\(keyword.name.prefix(80))'")
            }
            guard values[index] == nil else { throw failure("\(function) got its argument '\(names[index])' twice") }
            values[index] = keyword.value
        }
        for index in 0..<required where values[index] == nil {
            throw failure("\(function) lacks its argument '\(names[index])'")
        }
        return values
    }

    func call(_ value: TemplateValue, with arguments: TemplateArguments) throws(ChatTemplateError) -> TemplateValue {
        try spend(on: arguments)
        switch value {
        case .macro(let macro): return try call(macro, with: arguments)
        case .function(let function): return try call(function, with: arguments)
        case .method(let method): return try call(method, with: arguments)
        case .joiner(let joiner):
            _ = try bind(arguments, to: [], function: "a joiner")
            defer { joiner.isUsed = true }
            return joiner.isUsed ? joiner.separator : .text("")
        case .undefined(let message): throw failure(message)
        default: throw failure("a '\(value.typeName)' cannot be called")
        }
    }

    // MARK: - Macros

    private func call(
        _ macro: TemplateMacro, with arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue {
        try enter()
        defer { leave() }
        let definition = macro.definition
        let values = try variables(of: definition, from: arguments)
        let outerCapture = capturedOutput
        let outerScope = scope
        let outerOutput = output
        defer {
            capturedOutput = outerCapture
            scope = outerScope
            output = outerOutput
        }
        output = ""
        scope = try makeScope(definition.body.names, parent: macro.scope)
        for (name, value) in values.special { scope.variables[name] = value }
        try assign(values.given, to: definition.parameters)
        _ = try execute(definition.body.statements)
        return .text(output)
    }

    /// What a call gives the parameters of a macro, nil where they are left to their defaults, and its special names.
    private func variables(
        of definition: TemplateStatement.Macro, from arguments: TemplateArguments
    ) throws(ChatTemplateError) -> (given: [TemplateValue?], special: [(name: String, value: TemplateValue)]) {
        var keywords = arguments.keywords
        func take(_ name: String) -> TemplateValue? {
            keywords.firstIndex { $0.name == name }.map { keywords.remove(at: $0).value }
        }
        let parameters = definition.parameters
        var given: [TemplateValue?] = Array(arguments.positional.prefix(parameters.count))
        for parameter in parameters.dropFirst(given.count) { given.append(take(parameter.name)) }
        var special: [(name: String, value: TemplateValue)] = []
        if definition.usesCaller, !parameters.contains(where: { $0.name == "caller" }) {
            special.append(("caller", take("caller") ?? .undefined("no caller defined")))
        }
        if definition.usesKeywords {
            var rest = TemplateDictionary()
            for keyword in keywords { rest.set(keyword.value, for: TemplateKey(text: keyword.name)) }
            special.append(("kwargs", .dictionary(rest)))
        } else if let keyword = keywords.first {
            throw failure("the macro '\(definition.name)' takes no argument '\(keyword.name.prefix(80))'")
        }
        let extra = Array(arguments.positional.dropFirst(parameters.count))
        if definition.usesExtraArguments {
            special.append(("varargs", try tuple(extra)))
        } else if !extra.isEmpty {
            throw failure("the macro '\(definition.name)' takes at most \(parameters.count) arguments")
        }
        return (given, special)
    }

    /// Defaults are evaluated in the macro's own scope, where earlier parameters are visible.
    private func assign(
        _ values: [TemplateValue?], to parameters: [(name: String, initial: TemplateExpression?)]
    ) throws(ChatTemplateError) {
        for (parameter, value) in zip(parameters, values) {
            if let value {
                scope.variables[parameter.name] = value
            } else if let initial = parameter.initial {
                scope.variables[parameter.name] = try evaluate(initial)
            } else {
                scope.variables[parameter.name] = .undefined("parameter '\(parameter.name)' was not provided")
            }
        }
    }

    // MARK: - Functions

    private func call(
        _ function: TemplateFunction, with arguments: TemplateArguments
    ) throws(ChatTemplateError) -> TemplateValue {
        switch function {
        case .range: return try range(arguments)
        case .dict: return .dictionary(try dictionary(from: arguments, function: "dict()"))
        case .namespace:
            let attributes = try dictionary(from: arguments, function: "namespace()")
            let namespace = try makeNamespace()
            for (key, value) in attributes.members {
                guard let name = key.value.string else { throw failure("a namespace needs strings as names") }
                try set(value, for: name, of: namespace)
            }
            return .namespace(namespace)
        case .cycler:
            guard !arguments.positional.isEmpty, arguments.keywords.isEmpty,
                case .tuple(let items) = try tuple(arguments.positional)
            else { throw failure("cycler() needs at least one item") }
            return .cycler(TemplateCycler(items: items))
        case .joiner:
            let separator = try bind(arguments, to: ["sep"], function: "joiner()")[0] ?? .text(", ")
            try check(depth: separator.depth)
            return .joiner(TemplateJoiner(separator: separator))
        case .raiseException:
            let message = try bind(arguments, to: ["message"], required: 1, function: "raise_exception()")[0]!
            throw ChatTemplateError(kind: .raised, line: line, message: try text(of: message))
        case .strftimeNow:
            let format = try bind(arguments, to: ["format"], required: 1, function: "strftime_now()")[0]!
            guard let text = format.string, let date else { throw failure("strftime_now() needs a string") }
            // The longest directive gives about a dozen times the two bytes that it takes.
            try spend(bytes: text.utf8.count, times: 16)
            return .text(date.formatted(text))
        }
    }

    private func range(_ arguments: TemplateArguments) throws(ChatTemplateError) -> TemplateValue {
        var bounds: [Int] = []
        for argument in arguments.positional {
            guard let bound = argument.index else {
                throw failure("range() needs integers, found '\(argument.typeName)'")
            }
            bounds.append(bound)
        }
        guard (1...3).contains(bounds.count), arguments.keywords.isEmpty else {
            throw failure("range() takes one to three integers")
        }
        let step = bounds.count == 3 ? bounds[2] : 1
        let range =
            bounds.count == 1
            ? TemplateRange(start: 0, stop: bounds[0], step: 1)
            : TemplateRange(start: bounds[0], stop: bounds[1], step: step)
        guard let range else { throw failure("range() got a step of zero or a bound beyond its limits") }
        guard range.count <= Self.maximumRangeCount else {
            throw excess("range() is limited to \(Self.maximumRangeCount) numbers, asked for \(range.count)")
        }
        return .range(range)
    }

    /// Python's `dict(...)`: from another dictionary or from pairs, and from keywords.
    private func dictionary(
        from arguments: TemplateArguments, function: String
    ) throws(ChatTemplateError) -> TemplateDictionary {
        guard arguments.positional.count <= 1 else { throw failure("\(function) takes at most one argument") }
        var result = TemplateDictionary()
        switch arguments.positional.first {
        case nil: break
        case .dictionary(let dictionary):
            try spend(dictionary.members.count)
            result = dictionary
        case .some(let pairs):
            if case .undefined(let message) = pairs { throw failure(message) }
            for pair in try items(of: pairs) {
                let pair = try items(of: pair)
                guard pair.count == 2 else { throw failure("\(function) needs pairs of a key and a value") }
                try set(pair[1], for: pair[0], in: &result)
            }
        }
        for keyword in arguments.keywords { try set(keyword.value, for: .text(keyword.name), in: &result) }
        return result
    }
}

extension TemplateFilter {
    static func map(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let interpreter = call.interpreter
        let arguments = call.unbound
        return try call.lazily { () throws(ChatTemplateError) in
            guard call.input.isTrue else { return TemplateIterator(items: [], depth: 0) }
            let transform: (TemplateValue) throws(ChatTemplateError) -> TemplateValue
            if arguments.positional.isEmpty, let attribute = arguments.keyword("attribute") {
                guard arguments.keywords.allSatisfy({ $0.name == "attribute" || $0.name == "default" }) else {
                    throw call.failure("takes 'attribute' and 'default' only")
                }
                transform = try attributeGetter(call, attribute, standard: arguments.keyword("default"))
            } else {
                guard let name = arguments.positional.first?.string else { throw call.failure("needs a filter's name") }
                var rest = arguments
                rest.positional.removeFirst()
                transform = { item throws(ChatTemplateError) in
                    try interpreter.apply(filter: name, to: item, with: rest)
                }
            }
            let source = try interpreter.iterator(over: call.input)
            return TemplateIterator(depth: call.depth) { () throws(ChatTemplateError) in
                guard let item = try source.next() else { return nil }
                try interpreter.spend()
                return try transform(item)
            }
        }
    }

    /// As a getter, but an undefined value anywhere along the path becomes `standard`.
    private static func attributeGetter(
        _ call: TemplateFilterCall, _ attribute: TemplateValue, standard: TemplateValue?
    ) throws(ChatTemplateError) -> ((TemplateValue) throws(ChatTemplateError) -> TemplateValue) {
        guard let standard, !isNone(standard) else { return try call.interpreter.getter(attribute) }
        var steps: [(TemplateValue) throws(ChatTemplateError) -> TemplateValue] = []
        if let path = attribute.string {
            for part in PythonText.split(path, separator: ".", limit: .max, fromRight: false) {
                steps.append(try call.interpreter.getter(.text(part)))
            }
        } else {
            steps.append(try call.interpreter.getter(attribute))
        }
        return { [steps] item throws(ChatTemplateError) in
            var value = item
            for step in steps {
                value = try step(value)
                if value.isUndefined { value = standard }
            }
            return value
        }
    }

    private static func isNone(_ value: TemplateValue) -> Bool {
        if case .none = value { true } else { false }
    }

    static func select(
        _ call: TemplateFilterCall, wanted: Bool, byAttribute: Bool
    ) throws(ChatTemplateError) -> TemplateValue {
        let interpreter = call.interpreter
        return try call.lazily { () throws(ChatTemplateError) in
            guard call.input.isTrue else { return TemplateIterator(items: [], depth: 0) }
            var arguments = call.unbound
            var get = try interpreter.getter(nil)
            if byAttribute {
                guard !arguments.positional.isEmpty else { throw call.failure("needs the name of an attribute") }
                get = try interpreter.getter(arguments.positional.removeFirst())
            }
            var test: String?
            if !arguments.positional.isEmpty {
                guard let name = arguments.positional.removeFirst().string else {
                    throw call.failure("the name of a test must be a string")
                }
                test = name
            }
            let source = try interpreter.iterator(over: call.input)
            return TemplateIterator(depth: call.depth) { [get, test, arguments] () throws(ChatTemplateError) in
                while let item = try source.next() {
                    try interpreter.spend()
                    let value = try get(item)
                    let passes =
                        if let test {
                            try interpreter.apply(test: test, to: value, with: arguments)
                        } else { value.isTrue }
                    if passes == wanted { return item }
                }
                return nil
            }
        }
    }
}

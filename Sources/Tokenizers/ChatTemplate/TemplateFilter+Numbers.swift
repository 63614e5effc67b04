extension TemplateFilter {
    static let numbers: [String: TemplateFilter] = [
        "abs": TemplateFilter(absolute),
        "float": TemplateFilter(["default"], float),
        "int": TemplateFilter(["default", "base"], integer),
        "round": TemplateFilter(["precision", "method"], round),
        "sum": TemplateFilter(["attribute", "start"], sum),
    ]

    private static func absolute(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        if case .float(let value) = call.input { return .float(value.magnitude) }
        guard let value = call.input.index, value != .min else {
            throw call.failure("needs a number, found '\(call.input.typeName)'")
        }
        return .integer(abs(value))
    }

    private static func float(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        if case .undefined(let message) = call.input { throw call.interpreter.failure(message) }
        if let value = call.input.number { return .float(value) }
        return call.input.string.flatMap(PythonNumber.float).map { .float($0) } ?? call.arguments[0] ?? .float(0)
    }

    private static func integer(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        if case .undefined(let message) = call.input { throw call.interpreter.failure(message) }
        if let value = call.input.index { return .integer(value) }
        let standard = call.arguments[0] ?? .integer(0)
        if case .float(let value) = call.input {
            if value.isNaN { return standard }
            guard let integer = Int(exactly: value.rounded(.towardZero)) else {
                throw call.failure("a float beyond the range of 64-bit integers")
            }
            return .integer(integer)
        }
        guard let text = call.input.string else { return standard }
        // A base that is none makes int() fail, after which jinja2 tries float().
        let base = call.arguments[1].map { $0.index ?? -1 } ?? 10
        if base == 0 || (2...36).contains(base), let value = PythonNumber.integer(text, base: base) {
            return .integer(value)
        }
        guard let value = PythonNumber.float(text), value.isFinite else { return standard }
        guard let integer = Int(exactly: value.rounded(.towardZero)) else {
            throw call.failure("a number beyond the range of 64-bit integers")
        }
        return .integer(integer)
    }

    private static func round(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let precision = try call.integer(0, default: 0)
        let method = try call.text(1, default: "common")
        guard (-300...300).contains(precision) else { throw call.failure("a precision beyond 300 digits") }
        guard let value = call.input.number else {
            throw call.failure("needs a number, found '\(call.input.typeName)'")
        }
        switch method {
        case "common":
            if let integer = call.input.index {
                guard let rounded = PythonNumber.rounded(integer, precision: precision) else {
                    throw call.failure("an integer beyond 64 bits")
                }
                return .integer(rounded)
            }
            return .float(PythonNumber.rounded(value, precision: precision))
        case "ceil", "floor":
            let scale = PythonNumber.powerOfTen(precision)
            let scaled = value * scale
            guard scaled.isFinite else { throw call.failure("a number beyond the range of floats") }
            return .float(scaled.rounded(method == "ceil" ? .up : .down) / scale)
        default: throw call.failure("the method must be common, ceil or floor")
        }
    }

    private static func sum(_ call: TemplateFilterCall) throws(ChatTemplateError) -> TemplateValue {
        let get = try call.interpreter.getter(call.given(0))
        var total = call.arguments[1] ?? .integer(0)
        if total.string != nil { throw call.failure("cannot add up strings; use 'join'") }
        let iterator = try call.interpreter.iterator(over: call.input)
        while let item = try iterator.next() {
            try call.interpreter.spend()
            total = try call.interpreter.arithmetic(.add, total, try get(item))
        }
        return total
    }
}

extension TemplateInterpreter {
    func evaluate(_ expression: TemplateExpression) throws(ChatTemplateError) -> TemplateValue {
        line = expression.line
        try spend()
        try enter()
        defer { leave() }
        // Recursion goes through here, so every case with bindings has a function of its own, whose stack frame is
        // there only while that case runs.
        switch expression.kind {
        case .literal(let literal): return value(of: literal)
        case .name(let name): return value(ofVariable: name)
        case .capturedOutput: return capturedOutput
        case .tuple, .list, .dictionary, .concatenation: return try collection(expression.kind)
        case .attribute, .item, .slice: return try member(expression.kind)
        case .call, .filter, .test: return try application(expression.kind, line: expression.line)
        case .and, .or, .not, .conditional: return try choice(expression.kind, line: expression.line)
        case .negate, .plus, .arithmetic, .comparison:
            return try operation(expression.kind, line: expression.line)
        }
    }

    private func collection(_ kind: TemplateExpression.Kind) throws(ChatTemplateError) -> TemplateValue {
        switch kind {
        case .tuple(let items): return try tuple(try evaluate(items))
        case .list(let items): return try list(try evaluate(items))
        case .dictionary(let pairs): return try dictionary(pairs)
        case .concatenation(let items): return try concatenation(items)
        default: preconditionFailure("no collection")
        }
    }

    private func member(_ kind: TemplateExpression.Kind) throws(ChatTemplateError) -> TemplateValue {
        switch kind {
        case .attribute(let base, let name): return try attribute(name, of: try evaluate(base))
        case .item(let base, let index):
            let base = try evaluate(base)
            return try item(try evaluate(index), of: base)
        case .slice(let base, let slice):
            let base = try evaluate(base)
            return try self.slice(base, try evaluate(slice))
        default: preconditionFailure("no member")
        }
    }

    private func application(
        _ kind: TemplateExpression.Kind, line: Int
    ) throws(ChatTemplateError) -> TemplateValue {
        switch kind {
        case .call(let callee, let arguments):
            let function = try evaluate(callee)
            let values = try evaluate(arguments)
            self.line = line
            return try call(function, with: values)
        case .filter(let input, let name, let arguments):
            let input = try evaluate(input)
            let values = try evaluate(arguments)
            self.line = line
            return try apply(filter: name, to: input, with: values)
        case .test(let input, let name, let arguments):
            let input = try evaluate(input)
            let values = try evaluate(arguments)
            self.line = line
            return .boolean(try apply(test: name, to: input, with: values))
        default: preconditionFailure("no application")
        }
    }

    private func choice(_ kind: TemplateExpression.Kind, line: Int) throws(ChatTemplateError) -> TemplateValue {
        switch kind {
        case .not(let operand): return .boolean(!(try evaluate(operand).isTrue))
        case .and(let left, let right):
            let left = try evaluate(left)
            return left.isTrue ? try evaluate(right) : left
        case .or(let left, let right):
            let left = try evaluate(left)
            return left.isTrue ? left : try evaluate(right)
        case .conditional(let test, let then, let otherwise):
            if try evaluate(test).isTrue { return try evaluate(then) }
            if let otherwise { return try evaluate(otherwise) }
            return .undefined("the inline 'if' on line \(line) was false and has no 'else'")
        default: preconditionFailure("no choice")
        }
    }

    private func operation(_ kind: TemplateExpression.Kind, line: Int) throws(ChatTemplateError) -> TemplateValue {
        switch kind {
        case .negate(let operand): return try sign(of: try evaluate(operand), isNegative: true)
        case .plus(let operand): return try sign(of: try evaluate(operand), isNegative: false)
        case .arithmetic(let operation, let left, let right):
            let left = try evaluate(left)
            let right = try evaluate(right)
            self.line = line
            return try arithmetic(operation, left, right)
        case .comparison(let first, let operands):
            return .boolean(try comparison(first, operands, line: line))
        default: preconditionFailure("no operation")
        }
    }

    private func value(of literal: TemplateExpression.Literal) -> TemplateValue {
        switch literal {
        case .none: .none
        case .boolean(let value): .boolean(value)
        case .integer(let value): .integer(value)
        case .float(let value): .float(value)
        case .string(let text): .text(text)
        }
    }

    private func value(ofVariable name: String) -> TemplateValue {
        if let value = scope.value(of: name) { return value }
        guard let function = TemplateFunction(rawValue: name), function != .strftimeNow || date != nil else {
            return .undefined("'\(name)' is undefined")
        }
        return .function(function)
    }

    private func evaluate(_ expressions: [TemplateExpression]) throws(ChatTemplateError) -> [TemplateValue] {
        var values: [TemplateValue] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression)) }
        return values
    }

    private func dictionary(_ pairs: [TemplateExpression.Pair]) throws(ChatTemplateError) -> TemplateValue {
        var result = TemplateDictionary()
        for pair in pairs {
            let key = try evaluate(pair.key)
            try set(try evaluate(pair.value), for: key, in: &result)
        }
        return .dictionary(result)
    }

    private func concatenation(_ items: [TemplateExpression]) throws(ChatTemplateError) -> TemplateValue {
        let values = try evaluate(items)
        var result = ""
        for value in values {
            let text = try text(of: value)
            try spend(bytes: result.utf8.count + text.utf8.count)
            result += text
        }
        return .text(result)
    }

    /// `a < b < c` holds if both comparisons do; `b` is evaluated once.
    private func comparison(
        _ first: TemplateExpression, _ operands: [TemplateExpression.Operand], line: Int
    ) throws(ChatTemplateError) -> Bool {
        var left = try evaluate(first)
        for operand in operands {
            let right = try evaluate(operand.expression)
            self.line = line
            guard try compare(left, operand.comparison, right) else { return false }
            left = right
        }
        return true
    }

    func evaluate(
        _ arguments: TemplateExpression.Arguments
    ) throws(ChatTemplateError) -> TemplateArguments {
        var result = TemplateArguments(positional: try evaluate(arguments.positional))
        for keyword in arguments.keywords { result.keywords.append((keyword.name, try evaluate(keyword.value))) }
        if let spread = arguments.spread { result.positional += try items(of: try evaluate(spread)) }
        if let keywordSpread = arguments.keywordSpread {
            guard case .dictionary(let dictionary) = try evaluate(keywordSpread) else {
                throw failure("the argument after '**' must be a dictionary")
            }
            for (key, value) in dictionary.members {
                guard let name = key.value.string, !result.keywords.contains(where: { $0.name == name }) else {
                    throw failure("the dictionary after '**' has a key that is no string or occurs twice")
                }
                result.keywords.append((name, value))
            }
        }
        return result
    }

    private func evaluate(_ slice: TemplateExpression.Slice) throws(ChatTemplateError) -> [TemplateValue] {
        var bounds: [TemplateValue] = []
        for part in [slice.start, slice.stop, slice.step] {
            guard let part else {
                bounds.append(.none)
                continue
            }
            bounds.append(try evaluate(part))
        }
        return bounds
    }
}

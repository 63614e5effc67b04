extension TemplateParser {
    /// Attributes, subscripts and calls after a primary expression.
    mutating func postfix(of base: Expression) throws(ChatTemplateError) -> Expression {
        var result = base
        while true {
            switch current.kind {
            case .symbol(.dot): result = try attribute(of: result)
            case .symbol(.openBracket): result = try subscription(of: result)
            case .symbol(.openParenthesis): result = try call(of: result)
            default: return result
            }
        }
    }

    /// Filters, tests and calls after a whole operand.
    mutating func filtersAndTests(of base: Expression) throws(ChatTemplateError) -> Expression {
        var result = base
        while true {
            switch current.kind {
            case .symbol(.pipe): result = try filters(of: result)
            case .name("is"): result = try test(of: result)
            case .symbol(.openParenthesis): result = try call(of: result)
            default: return result
            }
        }
    }

    private mutating func attribute(of base: Expression) throws(ChatTemplateError) -> Expression {
        let line = advance().line
        switch current.kind {
        case .name(let name):
            advance()
            return try node(.attribute(base, name), line: line, over: [base])
        case .integer(let index):
            advance()
            let index = try node(.literal(.integer(index)), line: line, over: [])
            return try node(.item(base, index), line: line, over: [base, index])
        default: throw failure("expected a name or a number after '.', found \(current.kind)")
        }
    }

    private mutating func subscription(of base: Expression) throws(ChatTemplateError) -> Expression {
        let line = advance().line
        var items: [Expression] = []
        while !isAt(.closeBracket) {
            if !items.isEmpty { try expect(.comma) }
            let start = isAt(.colon) ? nil : try expression()
            if isAt(.colon) {
                let slice = try slice(from: start)
                guard items.isEmpty else { throw failure("a slice inside a tuple is not supported") }
                try expect(.closeBracket)
                return try node(.slice(base, slice), line: line, over: [base] + slice.parts)
            }
            if let start { items.append(start) }
        }
        try expect(.closeBracket)
        let index = items.count == 1 ? items[0] : try node(.tuple(items), line: line, over: items)
        return try node(.item(base, index), line: line, over: [base, index])
    }

    private mutating func slice(from start: Expression?) throws(ChatTemplateError) -> Expression.Slice {
        try expect(.colon)
        var stop: Expression?
        if !isAt(.colon) && !isAt(.closeBracket) && !isAt(.comma) { stop = try expression() }
        var step: Expression?
        if skip(.colon), !isAt(.closeBracket), !isAt(.comma) { step = try expression() }
        return Expression.Slice(start: start, stop: stop, step: step)
    }

    private mutating func call(of base: Expression) throws(ChatTemplateError) -> Expression {
        let line = line
        let arguments = try arguments()
        return try node(.call(base, arguments), line: line, over: [base] + arguments.parts)
    }

    private mutating func arguments() throws(ChatTemplateError) -> Expression.Arguments {
        let line = line
        var arguments = Expression.Arguments()
        var isFirst = true
        try expect(.openParenthesis)
        while !isAt(.closeParenthesis) {
            if !isFirst {
                try expect(.comma)
                if isAt(.closeParenthesis) { break }
            }
            isFirst = false
            let hasSpread = arguments.spread != nil || arguments.keywordSpread != nil
            if skip(.multiply) {
                guard !hasSpread else { throw failure("misplaced '*' among arguments", line: line) }
                arguments.spread = try expression()
            } else if skip(.power) {
                guard arguments.keywordSpread == nil else { throw failure("a second '**' argument", line: line) }
                arguments.keywordSpread = try expression()
            } else if case .name(let name) = current.kind, next.kind == .symbol(.assign) {
                guard arguments.keywordSpread == nil else { throw failure("a keyword after '**'", line: line) }
                guard !arguments.keywords.contains(where: { $0.name == name }) else {
                    throw failure("the keyword argument '\(name)' occurs twice", line: line)
                }
                advance()
                advance()
                arguments.keywords.append((name, try expression()))
            } else {
                guard !hasSpread, arguments.keywords.isEmpty else {
                    throw failure("a positional argument after keyword arguments", line: line)
                }
                arguments.positional.append(try expression())
            }
        }
        try expect(.closeParenthesis)
        return arguments
    }

    // MARK: - Filters and tests

    /// Filters applied to `base`; with `startsInline`, the first has no `|` before it.
    mutating func filters(
        of base: Expression, startsInline: Bool = false
    ) throws(ChatTemplateError) -> Expression {
        var result = base
        var isInline = startsInline
        while isInline || isAt(.pipe) {
            if !isInline { advance() }
            isInline = false
            let line = line
            let name = try dottedName()
            if TemplateFilter.named[name] == nil { noteUnknown("there is no filter '\(name.prefix(80))'", line: line) }
            let arguments = isAt(.openParenthesis) ? try arguments() : Expression.Arguments()
            result = try node(.filter(result, name, arguments), line: line, over: [result] + arguments.parts)
        }
        return result
    }

    private mutating func test(of base: Expression) throws(ChatTemplateError) -> Expression {
        let line = advance().line
        let isNegated = skip(name: "not")
        let name = try dottedName()
        if TemplateTest.named[name] == nil { noteUnknown("there is no test '\(name.prefix(80))'", line: line) }
        var arguments = Expression.Arguments()
        switch current.kind {
        case .symbol(.openParenthesis): arguments = try self.arguments()
        case .name("else"), .name("or"), .name("and"): break
        case .name("is"): throw failure("tests cannot be chained with 'is'")
        case .name, .string, .integer, .float, .symbol(.openBracket), .symbol(.openBrace):
            let argument = try nested { parser throws(ChatTemplateError) in
                try parser.postfix(of: try parser.primary())
            }
            arguments.positional = [argument]
        default: break
        }
        let result = try node(.test(base, name, arguments), line: line, over: [base] + arguments.parts)
        return isNegated ? try node(.not(result), line: line, over: [result]) : result
    }

    private mutating func dottedName() throws(ChatTemplateError) -> String {
        var name = try expectName()
        while skip(.dot) { name += "." + (try expectName()) }
        return name
    }
}

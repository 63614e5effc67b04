extension TemplateParser {
    typealias Expression = TemplateExpression

    /// A node whose deepest child is one of `children`.
    func node(
        _ kind: Expression.Kind, line: Int, over children: [Expression]
    ) throws(ChatTemplateError) -> Expression {
        let depth = 1 + children.reduce(0) { max($0, $1.depth) }
        guard depth <= Self.maximumExpressionDepth else {
            throw ChatTemplateError(
                kind: .limit, line: line,
                message: "an expression is deeper than \(Self.maximumExpressionDepth) operations")
        }
        return Expression(line: line, depth: depth, kind: kind)
    }

    // MARK: - Tuples and conditions

    /// One expression, or several separated by commas as a tuple.
    ///
    /// - Parameter isSimple: only names and literals, as left of an assignment.
    mutating func tuple(
        isSimple: Bool = false, withCondition: Bool = true, inParentheses: Bool = false
    ) throws(ChatTemplateError) -> Expression {
        var line = line
        var items: [Expression] = []
        var isTuple = false
        while true {
            if !items.isEmpty { try expect(.comma) }
            if isAt(.outputEnd) || isAt(.tagEnd) || isAt(.closeParenthesis) { break }
            items.append(isSimple ? try primary() : try expression(withCondition: withCondition))
            guard isAt(.comma) else { break }
            isTuple = true
            line = self.line
        }
        if !isTuple {
            if let only = items.first { return only }
            guard inParentheses else { throw failure("expected an expression, found \(current.kind)") }
        }
        return try node(.tuple(items), line: line, over: items)
    }

    mutating func expression(withCondition: Bool = true) throws(ChatTemplateError) -> Expression {
        try nested { parser throws(ChatTemplateError) in
            withCondition ? try parser.conditional() : try parser.or()
        }
    }

    private mutating func conditional() throws(ChatTemplateError) -> Expression {
        let line = line
        let unknown = unknownNameCount
        var result = try or()
        while skip(name: "if") {
            let test = try or()
            let otherwise = skip(name: "else") ? try expression() : nil
            result = try node(
                .conditional(test: test, then: result, otherwise: otherwise), line: line,
                over: [test, result] + (otherwise.map { [$0] } ?? []))
            excuseUnknownNames(since: unknown)
        }
        return result
    }

    // MARK: - Operators, loosest first

    private mutating func or() throws(ChatTemplateError) -> Expression {
        var left = try and()
        while isAt(name: "or") {
            let line = advance().line
            let right = try and()
            left = try node(.or(left, right), line: line, over: [left, right])
        }
        return left
    }

    private mutating func and() throws(ChatTemplateError) -> Expression {
        var left = try not()
        while isAt(name: "and") {
            let line = advance().line
            let right = try not()
            left = try node(.and(left, right), line: line, over: [left, right])
        }
        return left
    }

    private mutating func not() throws(ChatTemplateError) -> Expression {
        guard isAt(name: "not") else { return try comparison() }
        let line = advance().line
        let operand = try nested { parser throws(ChatTemplateError) in try parser.not() }
        return try node(.not(operand), line: line, over: [operand])
    }

    private mutating func comparison() throws(ChatTemplateError) -> Expression {
        let line = line
        let first = try sum()
        var operands: [Expression.Operand] = []
        while let comparison = nextComparison() {
            operands.append(Expression.Operand(comparison: comparison, expression: try sum()))
        }
        guard !operands.isEmpty else { return first }
        return try node(.comparison(first, operands), line: line, over: [first] + operands.map(\.expression))
    }

    private mutating func nextComparison() -> Expression.Comparison? {
        switch current.kind {
        case .symbol(let symbol):
            guard let comparison = Expression.Comparison(rawValue: symbol.rawValue) else { return nil }
            advance()
            return comparison
        case .name("in"):
            advance()
            return .contained
        case .name("not") where next.kind == .name("in"):
            advance()
            advance()
            return .notContained
        default: return nil
        }
    }

    private mutating func sum() throws(ChatTemplateError) -> Expression {
        var left = try concatenation()
        while isAt(.add) || isAt(.subtract) {
            let operation: Expression.Arithmetic = isAt(.add) ? .add : .subtract
            let line = advance().line
            let right = try concatenation()
            left = try node(.arithmetic(operation, left, right), line: line, over: [left, right])
        }
        return left
    }

    private mutating func concatenation() throws(ChatTemplateError) -> Expression {
        let line = line
        var items = [try product()]
        while skip(.concatenate) { items.append(try product()) }
        return items.count == 1 ? items[0] : try node(.concatenation(items), line: line, over: items)
    }

    private mutating func product() throws(ChatTemplateError) -> Expression {
        var left = try power()
        while case .symbol(let symbol) = current.kind,
            symbol == .multiply || symbol == .divide || symbol == .floorDivide || symbol == .remainder,
            let operation = Expression.Arithmetic(rawValue: symbol.rawValue)
        {
            let line = advance().line
            let right = try power()
            left = try node(.arithmetic(operation, left, right), line: line, over: [left, right])
        }
        return left
    }

    /// Unlike in Python, powers associate to the left and bind looser than a sign.
    private mutating func power() throws(ChatTemplateError) -> Expression {
        var left = try unary(withFilters: true)
        while isAt(.power) {
            let line = advance().line
            let right = try unary(withFilters: true)
            left = try node(.arithmetic(.power, left, right), line: line, over: [left, right])
        }
        return left
    }

    private mutating func unary(withFilters: Bool) throws(ChatTemplateError) -> Expression {
        var result: Expression
        if isAt(.subtract) || isAt(.add) {
            let isNegation = isAt(.subtract)
            let line = advance().line
            let operand = try nested { parser throws(ChatTemplateError) in try parser.unary(withFilters: false) }
            result = try node(isNegation ? .negate(operand) : .plus(operand), line: line, over: [operand])
        } else {
            result = try primary()
        }
        result = try postfix(of: result)
        return withFilters ? try filtersAndTests(of: result) : result
    }

    // MARK: - Primaries

    mutating func primary() throws(ChatTemplateError) -> Expression {
        let line = line
        switch current.kind {
        case .name(let name):
            advance()
            return try node(nameOrConstant(name), line: line, over: [])
        case .string(var text):
            advance()
            while case .string(let more) = current.kind {
                text += more
                advance()
            }
            return try node(.literal(.string(text)), line: line, over: [])
        case .integer(let value):
            advance()
            return try node(.literal(.integer(value)), line: line, over: [])
        case .float(let value):
            advance()
            return try node(.literal(.float(value)), line: line, over: [])
        case .symbol(.openParenthesis):
            advance()
            let result = try nested { parser throws(ChatTemplateError) in try parser.tuple(inParentheses: true) }
            try expect(.closeParenthesis)
            return result
        case .symbol(.openBracket): return try list()
        case .symbol(.openBrace): return try dictionary()
        default: throw failure("expected an expression, found \(current.kind)")
        }
    }

    private mutating func nameOrConstant(_ name: String) -> Expression.Kind {
        switch name {
        case "true", "True": return .literal(.boolean(true))
        case "false", "False": return .literal(.boolean(false))
        case "none", "None": return .literal(.none)
        default:
            noteRead(name)
            return .name(name)
        }
    }

    private mutating func list() throws(ChatTemplateError) -> Expression {
        let line = advance().line
        var items: [Expression] = []
        while !isAt(.closeBracket) {
            if !items.isEmpty { try expect(.comma) }
            if isAt(.closeBracket) { break }
            items.append(try expression())
        }
        try expect(.closeBracket)
        return try node(.list(items), line: line, over: items)
    }

    private mutating func dictionary() throws(ChatTemplateError) -> Expression {
        let line = advance().line
        var pairs: [Expression.Pair] = []
        while !isAt(.closeBrace) {
            if !pairs.isEmpty { try expect(.comma) }
            if isAt(.closeBrace) { break }
            let key = try expression()
            try expect(.colon)
            pairs.append(Expression.Pair(key: key, value: try expression()))
        }
        try expect(.closeBrace)
        return try node(.dictionary(pairs), line: line, over: pairs.flatMap { [$0.key, $0.value] })
    }
}

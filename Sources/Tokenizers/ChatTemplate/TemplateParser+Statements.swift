extension TemplateParser {
    /// Statements up to a tag named in `ends`, which stays the current token; up to the end if `ends` is empty.
    mutating func statements(until ends: Set<String>) throws(ChatTemplateError) -> [TemplateStatement] {
        try nested { parser throws(ChatTemplateError) in
            var statements: [TemplateStatement] = []
            while true {
                let line = parser.line
                switch parser.current.kind {
                case .text(let text):
                    parser.advance()
                    statements.append(TemplateStatement(line: line, kind: .text(text)))
                case .outputBegin:
                    parser.advance()
                    let expression = try parser.tuple()
                    try parser.expect(.outputEnd)
                    statements.append(TemplateStatement(line: line, kind: .output([expression])))
                case .tagBegin:
                    parser.advance()
                    if case .name(let name) = parser.current.kind, ends.contains(name) { return statements }
                    statements.append(try parser.statement())
                    try parser.expect(.tagEnd)
                default:
                    guard parser.isAt(.end), ends.isEmpty else {
                        let expected = ends.sorted().map { "'\($0)'" }.joined(separator: " or ")
                        throw parser.failure("the template ends where \(expected) is expected")
                    }
                    return statements
                }
            }
        }
    }

    /// The rest of an opening tag, and statements up to a tag named in `ends`, whose name is consumed.
    private mutating func block(until ends: Set<String>) throws(ChatTemplateError) -> (
        statements: [TemplateStatement], end: String
    ) {
        _ = skip(.colon)
        try expect(.tagEnd)
        let statements = try statements(until: ends)
        return (statements, try expectName())
    }

    private mutating func statement() throws(ChatTemplateError) -> TemplateStatement {
        let line = line
        guard case .name(let tag) = current.kind else {
            throw failure("expected the name of a tag, found \(current.kind)")
        }
        advance()
        let kind: TemplateStatement.Kind
        switch tag {
        case "if": kind = try condition()
        case "for": kind = try loop()
        case "set": kind = try assignment()
        case "macro": kind = try macro()
        case "call": kind = try callBlock()
        case "filter": kind = try filterBlock()
        case "with": kind = try with()
        case "print": kind = try print()
        case "generation": kind = try generation()
        case "break", "continue":
            guard breakableLoops > 0 else { throw failure("'\(tag)' outside a loop", line: line) }
            kind = tag == "break" ? .leaveLoop : .continueLoop
        case "include", "import", "from", "extends", "block", "autoescape":
            throw failure("the tag '\(tag)' is not supported in chat templates", line: line)
        default: throw failure("unknown or misplaced tag '\(tag.prefix(80))'", line: line)
        }
        return TemplateStatement(line: line, kind: kind)
    }

    // MARK: - Branches and loops

    private mutating func condition() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let unknown = unknownNameCount
        var branches: [TemplateStatement.Branch] = []
        var otherwise: [TemplateStatement] = []
        var end = "elif"
        while end == "elif" {
            let test = try tuple(withCondition: false)
            let statements = try branch { parser throws(ChatTemplateError) in
                let block = try parser.block(until: ["elif", "else", "endif"])
                end = block.end
                return block.statements
            }
            branches.append(TemplateStatement.Branch(test: test, statements: statements))
        }
        if end == "else" {
            otherwise = try branch { parser throws(ChatTemplateError) in
                try parser.block(until: ["endif"]).statements
            }
        }
        excuseUnknownNames(since: unknown)
        return .condition(branches, otherwise: otherwise)
    }

    private mutating func loop() throws(ChatTemplateError) -> TemplateStatement.Kind {
        enclosingLoops += 1
        defer { enclosingLoops -= 1 }
        let target = try target(withNamespace: false)
        try expect(.name("in"))
        let sequence = try tuple(withCondition: false)
        var filter: TemplateExpression?
        if skip(name: "if") {
            // The condition has a scope of its own, and so tells nothing about the names of the scope around it.
            _ = try body { parser throws(ChatTemplateError) in
                parser.noteParameters(of: target)
                filter = try parser.expression()
                return []
            }
        }
        guard !isAt(name: "recursive") else { throw failure("recursive loops are not supported") }
        var end = ""
        breakableLoops += 1
        let body = try body { parser throws(ChatTemplateError) in
            parser.noteParameters(of: target)
            let block = try parser.block(until: ["endfor", "else"])
            end = block.end
            return block.statements
        }
        breakableLoops -= 1
        let otherwise = try self.body { parser throws(ChatTemplateError) in
            end == "else" ? try parser.block(until: ["endfor"]).statements : []
        }
        return .loop(
            TemplateStatement.Loop(
                target: target, sequence: sequence, filter: filter, body: body, otherwise: otherwise))
    }

    // MARK: - Assignments

    private mutating func assignment() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let target = try target(withNamespace: true)
        if skip(.assign) {
            let value = try tuple()
            noteAssignments(of: target)
            return .assign(target, value)
        }
        noteAssignments(of: target)
        let line = line
        let captured = try node(.capturedOutput, line: line, over: [])
        let filter = isAt(.pipe) ? try filters(of: captured) : nil
        let body = try body { parser throws(ChatTemplateError) in try parser.block(until: ["endset"]).statements }
        return .assignBlock(target, filter: filter, body: body)
    }

    private mutating func target(withNamespace: Bool) throws(ChatTemplateError) -> TemplateTarget {
        isParsingTarget = true
        defer { isParsingTarget = false }
        let line = line
        if withNamespace, !isAt(.openParenthesis) {
            return try targetList(line: line)
        }
        return try target(from: try tuple(isSimple: true), line: line)
    }

    /// Targets of `set`, each of which may be an attribute of a namespace: `a, ns.b`.
    private mutating func targetList(line: Int) throws(ChatTemplateError) -> TemplateTarget {
        var targets: [TemplateTarget] = []
        var isTuple = false
        while !isAt(.tagEnd) && !isAt(.closeParenthesis) {
            if case .name(let name) = current.kind, next.kind == .symbol(.dot) {
                advance()
                advance()
                targets.append(.namespaceAttribute(namespace: name, attribute: try expectName()))
            } else {
                targets.append(try target(from: try primary(), line: line))
            }
            guard skip(.comma) else { break }
            isTuple = true
        }
        guard let first = targets.first else { throw failure("expected a name, found \(current.kind)") }
        return isTuple ? .tuple(targets) : first
    }

    private func target(
        from expression: TemplateExpression, line: Int
    ) throws(ChatTemplateError) -> TemplateTarget {
        switch expression.kind {
        case .name(let name):
            guard name != "loop" || enclosingLoops == 0 else {
                throw failure("the special variable 'loop' cannot be assigned", line: line)
            }
            return .name(name)
        case .tuple(let items):
            var targets: [TemplateTarget] = []
            for item in items { targets.append(try target(from: item, line: line)) }
            return .tuple(targets)
        default: throw failure("only names, tuples and attributes of a namespace can be assigned", line: line)
        }
    }

    private mutating func noteAssignments(of target: TemplateTarget) {
        switch target {
        case .name(let name): noteAssignment(name)
        case .namespaceAttribute(let namespace, _): noteRead(namespace)
        case .tuple(let targets): for target in targets { noteAssignments(of: target) }
        }
    }

    private mutating func noteParameters(of target: TemplateTarget) {
        switch target {
        case .name(let name): noteParameter(name)
        case .namespaceAttribute: break
        case .tuple(let targets): for target in targets { noteParameters(of: target) }
        }
    }

    // MARK: - Macros and blocks

    private mutating func macro() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let name = try expectName()
        guard name != "loop" || enclosingLoops == 0 else {
            throw failure("the special variable 'loop' cannot be assigned")
        }
        noteAssignment(name)
        let signature = try signature()
        return .macro(try macro(named: name, signature, end: "endmacro"))
    }

    private mutating func callBlock() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let signature = isAt(.openParenthesis) ? try signature() : Signature()
        let call = try expression()
        guard case .call = call.kind else { throw failure("a 'call' tag needs a call") }
        return .callBlock(call, body: try macro(named: "caller", signature, end: "endcall"))
    }

    private mutating func macro(
        named name: String, _ signature: Signature, end: String
    ) throws(ChatTemplateError) -> TemplateStatement.Macro {
        var reads: Set<String> = []
        let body = try body(knowing: signature.names) { parser throws(ChatTemplateError) in
            let body = try parser.macroBody { parser throws(ChatTemplateError) in
                try parser.block(until: [end]).statements
            }
            reads = body.reads
            return body.statements
        }
        let parameters = signature.parameters
        let names = Set(parameters.map(\.name))
        if reads.contains("caller"), let caller = parameters.first(where: { $0.name == "caller" }),
            caller.initial == nil
        {
            throw failure("a macro's parameter 'caller' needs a default")
        }
        return TemplateStatement.Macro(
            name: name, parameters: parameters, body: body, usesCaller: reads.contains("caller"),
            usesKeywords: reads.subtracting(names).contains("kwargs"),
            usesExtraArguments: reads.subtracting(names).contains("varargs"))
    }

    private struct Signature {
        var parameters: [(name: String, initial: TemplateExpression?)] = []
        /// What the parameters and their defaults make known to the macro's scope.
        var names = ScopeNames()
    }

    private mutating func signature() throws(ChatTemplateError) -> Signature {
        var signature = Signature()
        let scope = try body { parser throws(ChatTemplateError) in
            signature.parameters = try parser.parameters()
            return []
        }
        signature.names = scope.names
        return signature
    }

    private mutating func parameters() throws(ChatTemplateError) -> [(name: String, initial: TemplateExpression?)] {
        var parameters: [(name: String, initial: TemplateExpression?)] = []
        try expect(.openParenthesis)
        while !isAt(.closeParenthesis) {
            if !parameters.isEmpty { try expect(.comma) }
            let name = try expectName()
            guard !parameters.contains(where: { $0.name == name }) else {
                throw failure("the parameter '\(name)' occurs twice")
            }
            noteParameter(name)
            let initial = skip(.assign) ? try expression() : nil
            guard initial != nil || parameters.allSatisfy({ $0.initial == nil }) else {
                throw failure("the parameter '\(name)' without a default follows one with a default")
            }
            parameters.append((name, initial))
        }
        try expect(.closeParenthesis)
        return parameters
    }

    private mutating func filterBlock() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let captured = try node(.capturedOutput, line: line, over: [])
        let filter = try filters(of: captured, startsInline: true)
        let body = try body { parser throws(ChatTemplateError) in try parser.block(until: ["endfilter"]).statements }
        return .filterBlock(filter, body: body)
    }

    private mutating func with() throws(ChatTemplateError) -> TemplateStatement.Kind {
        var assignments: [(target: TemplateTarget, value: TemplateExpression)] = []
        while !isAt(.tagEnd) && !isAt(.colon) {
            if !assignments.isEmpty { try expect(.comma) }
            let target = try target(withNamespace: false)
            try expect(.assign)
            assignments.append((target, try expression()))
        }
        let body = try body { parser throws(ChatTemplateError) in
            for assignment in assignments { parser.noteParameters(of: assignment.target) }
            return try parser.block(until: ["endwith"]).statements
        }
        return .with(assignments, body: body)
    }

    private mutating func print() throws(ChatTemplateError) -> TemplateStatement.Kind {
        var expressions: [TemplateExpression] = []
        while !isAt(.tagEnd) {
            if !expressions.isEmpty { try expect(.comma) }
            expressions.append(try expression())
        }
        return .output(expressions)
    }

    private mutating func generation() throws(ChatTemplateError) -> TemplateStatement.Kind {
        .scope(
            try body { parser throws(ChatTemplateError) in
                try parser.macroBody { parser throws(ChatTemplateError) in
                    try parser.block(until: ["endgeneration"]).statements
                }.statements
            })
    }
}

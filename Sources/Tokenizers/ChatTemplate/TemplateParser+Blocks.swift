extension TemplateParser {
    mutating func macro() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let name = try expectName()
        guard name != "loop" || enclosingLoops == 0 else {
            throw failure("the special variable 'loop' cannot be assigned")
        }
        noteAssignment(name)
        let signature = try signature()
        return .macro(try macro(named: name, signature, end: "endmacro"))
    }

    mutating func callBlock() throws(ChatTemplateError) -> TemplateStatement.Kind {
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

    mutating func filterBlock() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let captured = try node(.capturedOutput, line: line, over: [])
        let filter = try filters(of: captured, startsInline: true)
        let body = try body { parser throws(ChatTemplateError) in try parser.block(until: ["endfilter"]).statements }
        return .filterBlock(filter, body: body)
    }

    mutating func with() throws(ChatTemplateError) -> TemplateStatement.Kind {
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

    mutating func printStatement() throws(ChatTemplateError) -> TemplateStatement.Kind {
        var expressions: [TemplateExpression] = []
        while !isAt(.tagEnd) {
            if !expressions.isEmpty { try expect(.comma) }
            expressions.append(try expression())
        }
        return .output(expressions)
    }

    mutating func generation() throws(ChatTemplateError) -> TemplateStatement.Kind {
        .scope(
            try body { parser throws(ChatTemplateError) in
                try parser.macroBody { parser throws(ChatTemplateError) in
                    try parser.block(until: ["endgeneration"]).statements
                }.statements
            })
    }
}

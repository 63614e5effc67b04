extension TemplateParser {
    mutating func assignment() throws(ChatTemplateError) -> TemplateStatement.Kind {
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

    mutating func target(withNamespace: Bool) throws(ChatTemplateError) -> TemplateTarget {
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

    mutating func noteParameters(of target: TemplateTarget) {
        switch target {
        case .name(let name): noteParameter(name)
        case .namespaceAttribute: break
        case .tuple(let targets): for target in targets { noteParameters(of: target) }
        }
    }
}

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
    mutating func block(until ends: Set<String>) throws(ChatTemplateError) -> (
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
        case "print": kind = try printStatement()
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
}

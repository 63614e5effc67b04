/// Parses tokens into statements, following the grammar of jinja2's parser, its oddities included.
struct TemplateParser {
    /// Nested tags and brackets beyond this are refused. Real templates stay below 20; recursion over 64 levels needs
    /// well under the 512 KiB that the smallest thread stacks have.
    static let maximumNesting = 64
    /// Bound of ``TemplateExpression/depth``: a chain such as `a + b + c` nests once per operator.
    static let maximumExpressionDepth = 200

    private let tokens: [TemplateToken]
    private var index = 0
    private var nesting = 0
    /// How many loops the current statement could leave.
    var breakableLoops = 0
    /// How many loops surround the current statement, those outside a macro included.
    var enclosingLoops = 0
    var isParsingTarget = false
    private var scopes: [OpenScope] = []
    private var macros: [OpenMacro] = []
    /// Names of filters and tests that do not exist. jinja2 refuses them at once, except in the branches of an `if`
    /// and in inline conditions, where a template may ask first whether the filter exists.
    private var unknownNames: [UnknownName] = []

    private struct OpenScope {
        var names = ScopeNames()
        var branches = 0
    }

    /// For the special names of a macro: whether their first use is a read.
    private struct OpenMacro {
        var firstUseIsRead: [String: Bool] = [:]
    }

    private struct UnknownName {
        let error: ChatTemplateError
        var isCertain = false
    }

    static func parse(_ source: String) throws(ChatTemplateError) -> TemplateStatement.Body {
        var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: source))
        let body = try parser.body { parser throws(ChatTemplateError) in
            try parser.statements(until: [])
        }
        if let unknown = parser.unknownNames.first { throw unknown.error }
        return body
    }

    private init(tokens: [TemplateToken]) { self.tokens = tokens }

    // MARK: - Tokens

    /// The last token is always `.end`, and nothing steps over it.
    var current: TemplateToken { tokens[index] }
    var next: TemplateToken { tokens[min(index + 1, tokens.count - 1)] }
    var line: Int { current.line }

    @discardableResult
    mutating func advance() -> TemplateToken {
        let token = tokens[index]
        if index < tokens.count - 1 { index += 1 }
        return token
    }

    func isAt(_ kind: TemplateToken.Kind) -> Bool { current.kind == kind }
    func isAt(_ symbol: TemplateToken.Symbol) -> Bool { current.kind == .symbol(symbol) }
    func isAt(name: String) -> Bool { current.kind == .name(name) }

    mutating func skip(_ symbol: TemplateToken.Symbol) -> Bool {
        guard isAt(symbol) else { return false }
        advance()
        return true
    }

    mutating func skip(name: String) -> Bool {
        guard isAt(name: name) else { return false }
        advance()
        return true
    }

    mutating func expect(_ kind: TemplateToken.Kind) throws(ChatTemplateError) {
        guard isAt(kind) else { throw failure("expected \(kind), found \(current.kind)") }
        advance()
    }

    mutating func expect(_ symbol: TemplateToken.Symbol) throws(ChatTemplateError) { try expect(.symbol(symbol)) }

    mutating func expectName() throws(ChatTemplateError) -> String {
        guard case .name(let name) = current.kind else { throw failure("expected a name, found \(current.kind)") }
        advance()
        return name
    }

    func failure(_ message: String, line: Int? = nil) -> ChatTemplateError {
        ChatTemplateError(kind: .syntax, line: line ?? self.line, message: message)
    }

    /// Runs `parse` one level deeper.
    mutating func nested<Result>(
        _ parse: (inout TemplateParser) throws(ChatTemplateError) -> Result
    ) throws(ChatTemplateError) -> Result {
        guard nesting < Self.maximumNesting else {
            throw ChatTemplateError(
                kind: .limit, line: line, message: "tags and brackets nest deeper than \(Self.maximumNesting) levels")
        }
        nesting += 1
        defer { nesting -= 1 }
        return try parse(&self)
    }

    // MARK: - Names

    mutating func noteRead(_ name: String) {
        guard !isParsingTarget else { return }
        scopes[scopes.count - 1].names.known.insert(name)
        noteUse(name, isRead: true)
    }

    mutating func noteAssignment(_ name: String) {
        let last = scopes.count - 1
        if scopes[last].names.known.insert(name).inserted, scopes[last].branches == 0 {
            scopes[last].names.assignedFirst.insert(name)
        }
        noteUse(name, isRead: false)
    }

    /// A parameter or loop variable: known to the scope, and bound before its body runs.
    mutating func noteParameter(_ name: String) {
        scopes[scopes.count - 1].names.known.insert(name)
        noteUse(name, isRead: false)
    }

    private mutating func noteUse(_ name: String, isRead: Bool) {
        guard name == "caller" || name == "kwargs" || name == "varargs" else { return }
        for macro in macros.indices where macros[macro].firstUseIsRead[name] == nil {
            macros[macro].firstUseIsRead[name] = isRead
        }
    }

    mutating func noteUnknown(_ message: String, line: Int) {
        unknownNames.append(UnknownName(error: failure(message, line: line)))
    }

    var unknownNameCount: Int { unknownNames.count }

    /// Whatever unknown names were met since `count` stand in a branch that may never run.
    mutating func excuseUnknownNames(since count: Int) {
        let certain = unknownNames[count...].filter(\.isCertain)
        unknownNames.replaceSubrange(count..., with: certain)
    }

    /// Statements with a scope of their own, in which `names` are known already.
    mutating func body(
        knowing names: ScopeNames = ScopeNames(),
        _ parse: (inout TemplateParser) throws(ChatTemplateError) -> [TemplateStatement]
    ) throws(ChatTemplateError) -> TemplateStatement.Body {
        let count = unknownNames.count
        scopes.append(OpenScope(names: names))
        let statements = try parse(&self)
        for unknown in count..<unknownNames.count { unknownNames[unknown].isCertain = true }
        return TemplateStatement.Body(statements: statements, names: scopes.removeLast().names)
    }

    /// Statements of an `if`: they share the scope around them.
    mutating func branch(
        _ parse: (inout TemplateParser) throws(ChatTemplateError) -> [TemplateStatement]
    ) throws(ChatTemplateError) -> [TemplateStatement] {
        scopes[scopes.count - 1].branches += 1
        let statements = try parse(&self)
        scopes[scopes.count - 1].branches -= 1
        return statements
    }

    /// The body of a macro, which no `break` leaves, and which of the special names it reads.
    mutating func macroBody(
        _ parse: (inout TemplateParser) throws(ChatTemplateError) -> [TemplateStatement]
    ) throws(ChatTemplateError) -> (statements: [TemplateStatement], reads: Set<String>) {
        let loops = breakableLoops
        breakableLoops = 0
        macros.append(OpenMacro())
        let statements = try parse(&self)
        breakableLoops = loops
        return (statements, Set(macros.removeLast().firstUseIsRead.filter(\.value).keys))
    }
}

extension TemplateInterpreter {
    /// How a run of statements ended.
    enum Flow { case next, leaveLoop, continueLoop }

    func execute(_ statements: [TemplateStatement]) throws(ChatTemplateError) -> Flow {
        try enter()
        defer { leave() }
        for statement in statements {
            let flow = try execute(statement)
            if flow != .next { return flow }
        }
        return .next
    }

    private func execute(_ statement: TemplateStatement) throws(ChatTemplateError) -> Flow {
        line = statement.line
        try spend()
        // As in `evaluate`, a function per case keeps the stack frame of this one small.
        switch statement.kind {
        case .text(let text): try emit(text)
        case .output: try write(statement.kind)
        case .condition: return try branch(statement.kind)
        case .loop(let loop): return try execute(loop)
        case .assign: try assign(statement.kind)
        case .assignBlock, .filterBlock: return try captureBlock(statement.kind, line: statement.line)
        case .macro(let definition): scope.variables[definition.name] = .macro(try makeMacro(definition))
        case .callBlock: try callBlock(statement.kind)
        case .with(let assignments, let body): return try execute(with: assignments, body: body)
        case .scope(let body): return try inScope(body)
        case .leaveLoop: return .leaveLoop
        case .continueLoop: return .continueLoop
        }
        return .next
    }

    private func write(_ kind: TemplateStatement.Kind) throws(ChatTemplateError) {
        guard case .output(let expressions) = kind else { return }
        for expression in expressions { try emit(text(of: try evaluate(expression))) }
    }

    private func branch(_ kind: TemplateStatement.Kind) throws(ChatTemplateError) -> Flow {
        guard case .condition(let branches, let otherwise) = kind else { return .next }
        for branch in branches where try evaluate(branch.test).isTrue { return try execute(branch.statements) }
        return try execute(otherwise)
    }

    private func assign(_ kind: TemplateStatement.Kind) throws(ChatTemplateError) {
        guard case .assign(let target, let expression) = kind else { return }
        try checkNamespaces(of: target)
        try assign(try evaluate(expression), to: target)
    }

    private func captureBlock(_ kind: TemplateStatement.Kind, line: Int) throws(ChatTemplateError) -> Flow {
        switch kind {
        case .assignBlock(let target, let filter, let body):
            let (text, flow) = try capture(body)
            guard flow == .next else { return flow }
            self.line = line
            try assign(try filtered(text, by: filter), to: target)
        case .filterBlock(let filter, let body):
            let (text, flow) = try capture(body)
            guard flow == .next else { return flow }
            self.line = line
            try emit(block: try filtered(text, by: filter))
        default: break
        }
        return .next
    }

    /// What the statements of `body` write.
    private func capture(_ body: TemplateStatement.Body) throws(ChatTemplateError) -> (text: String, flow: Flow) {
        let outer = output
        output = ""
        defer { output = outer }
        let flow = try inScope(body)
        return (output, flow)
    }

    private func inScope(_ body: TemplateStatement.Body) throws(ChatTemplateError) -> Flow {
        let outer = scope
        defer { scope = outer }
        scope = try makeScope(body.names, parent: outer)
        return try execute(body.statements)
    }

    private func filtered(
        _ text: String, by filter: TemplateExpression?
    ) throws(ChatTemplateError) -> TemplateValue {
        guard let filter else { return .text(text) }
        let outer = capturedOutput
        capturedOutput = .text(text)
        defer { capturedOutput = outer }
        return try evaluate(filter)
    }

    // MARK: - Assignments

    private func checkNamespaces(of target: TemplateTarget) throws(ChatTemplateError) {
        switch target {
        case .name: break
        case .namespaceAttribute(let name, _):
            guard case .namespace = scope.value(of: name) else {
                throw failure("cannot set an attribute of '\(name)', which is no namespace")
            }
        case .tuple(let targets): for target in targets { try checkNamespaces(of: target) }
        }
    }

    func assign(_ value: TemplateValue, to target: TemplateTarget) throws(ChatTemplateError) {
        switch target {
        case .name(let name): scope.variables[name] = value
        case .namespaceAttribute(let name, let attribute):
            guard case .namespace(let namespace) = scope.value(of: name) else {
                throw failure("cannot set an attribute of '\(name)', which is no namespace")
            }
            try set(value, for: attribute, of: namespace)
        case .tuple(let targets):
            let items = try self.items(of: value)
            guard items.count == targets.count else {
                throw failure("cannot unpack \(items.count) values into \(targets.count) names")
            }
            for (target, item) in zip(targets, items) { try assign(item, to: target) }
        }
    }

    func set(
        _ value: TemplateValue, for attribute: String, of namespace: TemplateNamespace
    ) throws(ChatTemplateError) {
        guard !attribute.hasPrefix("_") else {
            throw failure("a namespace cannot hold '\(attribute)': names with a leading underscore are reserved")
        }
        namespace.attributes[attribute] = value
    }

    // MARK: - Loops

    private func execute(_ statement: TemplateStatement.Loop) throws(ChatTemplateError) -> Flow {
        let outer = scope
        defer { scope = outer }
        let sequence = try evaluate(statement.sequence)
        var source = try iterator(over: sequence)
        var length = count(of: sequence)
        if let filter = statement.filter {
            source = filtered(source, by: filter, target: statement.target)
            length = nil
        }
        let loop = TemplateLoop(source: source, length: length)
        defer { loop.finish() }
        var completedOnce = false
        while let item = try loop.advance() {
            try spend()
            scope = try makeScope(statement.body.names, parent: outer)
            scope.variables["loop"] = .loop(loop)
            try assign(item, to: statement.target)
            let flow = try execute(statement.body.statements)
            scope = outer
            if flow == .leaveLoop { break }
            if flow == .next { completedOnce = true }
        }
        // As compiled by jinja2, `else` runs unless some round of the body reached its end.
        guard !completedOnce, !statement.otherwise.statements.isEmpty else { return .next }
        return try inScope(statement.otherwise)
    }

    private func filtered(
        _ source: TemplateIterator, by filter: TemplateExpression, target: TemplateTarget
    ) -> TemplateIterator {
        let parent = scope
        return TemplateIterator(depth: source.depth) { [unowned self] () throws(ChatTemplateError) in
            while let item = try source.next() {
                try spend()
                let outer = scope
                defer { scope = outer }
                scope = try makeScope(ScopeNames(), parent: parent)
                try assign(item, to: target)
                if try evaluate(filter).isTrue { return item }
            }
            return nil
        }
    }

    // MARK: - Calls and scopes

    private func callBlock(_ kind: TemplateStatement.Kind) throws(ChatTemplateError) {
        guard case .callBlock(let call, let body) = kind, case .call(let callee, let arguments) = call.kind else {
            return
        }
        let caller = TemplateValue.macro(try makeMacro(body))
        let function = try evaluate(callee)
        var values = try evaluate(arguments)
        values.keywords.append(("caller", caller))
        line = call.line
        try emit(block: try self.call(function, with: values))
    }

    /// What a `filter` or `call` block gives is written as it is, and so has to be a string.
    private func emit(block value: TemplateValue) throws(ChatTemplateError) {
        guard let text = value.string else {
            throw failure("a block must end up as a string, found '\(value.typeName)'")
        }
        try emit(text)
    }

    private func execute(
        with assignments: [(target: TemplateTarget, value: TemplateExpression)], body: TemplateStatement.Body
    ) throws(ChatTemplateError) -> Flow {
        var values: [TemplateValue] = []
        for assignment in assignments { values.append(try evaluate(assignment.value)) }
        let outer = scope
        defer { scope = outer }
        scope = try makeScope(body.names, parent: outer)
        for (assignment, value) in zip(assignments, values) { try assign(value, to: assignment.target) }
        return try execute(body.statements)
    }
}

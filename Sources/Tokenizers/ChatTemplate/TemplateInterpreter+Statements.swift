extension TemplateInterpreter {
    /// How a run of statements ended.
    enum Flow { case next, leaveLoop, continueLoop }

    func execute(_ statements: [TemplateStatement]) throws(ChatTemplateError) -> Flow {
        for statement in statements {
            let flow = try execute(statement)
            if flow != .next { return flow }
        }
        return .next
    }

    private func execute(_ statement: TemplateStatement) throws(ChatTemplateError) -> Flow {
        line = statement.line
        try spend()
        switch statement.kind {
        case .text(let text): try emit(text)
        case .output(let expressions):
            for expression in expressions { try emit(text(of: try evaluate(expression))) }
        case .condition(let branches, let otherwise):
            for branch in branches where try evaluate(branch.test).isTrue {
                return try deeper { () throws(ChatTemplateError) in try execute(branch.statements) }
            }
            return try deeper { () throws(ChatTemplateError) in try execute(otherwise) }
        case .loop(let loop):
            return try deeper { () throws(ChatTemplateError) in try execute(loop) }
        case .assign(let target, let expression):
            try checkNamespaces(of: target)
            try assign(try evaluate(expression), to: target)
        case .assignBlock(let target, let filter, let body):
            let captured = try capture { () throws(ChatTemplateError) in try inScope(body) }
            guard captured.result == .next else { return captured.result }
            line = statement.line
            try assign(try filtered(captured.text, by: filter), to: target)
        case .filterBlock(let filter, let body):
            let captured = try capture { () throws(ChatTemplateError) in try inScope(body) }
            guard captured.result == .next else { return captured.result }
            line = statement.line
            try emit(block: try filtered(captured.text, by: filter))
        case .macro(let definition):
            scope.variables[definition.name] = .macro(try makeMacro(definition))
        case .callBlock(let call, let body): try execute(call: call, body: body)
        case .with(let assignments, let body): return try execute(with: assignments, body: body)
        case .scope(let body): return try inScope(body)
        case .leaveLoop: return .leaveLoop
        case .continueLoop: return .continueLoop
        }
        return .next
    }

    private func inScope(_ body: TemplateStatement.Body) throws(ChatTemplateError) -> Flow {
        try deeper { () throws(ChatTemplateError) in
            try inScope(body.names) { () throws(ChatTemplateError) in try execute(body.statements) }
        }
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
            let flow = try inScope(statement.body.names) { () throws(ChatTemplateError) in
                scope.variables["loop"] = .loop(loop)
                try assign(item, to: statement.target)
                return try execute(statement.body.statements)
            }
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
                let isWanted = try inScope(ScopeNames(), parent: parent) { () throws(ChatTemplateError) in
                    try assign(item, to: target)
                    return try evaluate(filter).isTrue
                }
                if isWanted { return item }
            }
            return nil
        }
    }

    // MARK: - Calls and scopes

    private func execute(
        call: TemplateExpression, body: TemplateStatement.Macro
    ) throws(ChatTemplateError) {
        guard case .call(let callee, let arguments) = call.kind else { preconditionFailure("the parser checked this") }
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
        return try deeper { () throws(ChatTemplateError) in
            try inScope(body.names) { () throws(ChatTemplateError) in
                for (assignment, value) in zip(assignments, values) { try assign(value, to: assignment.target) }
                return try execute(body.statements)
            }
        }
    }
}

/// Runs the statements of one template once, against one set of variables.
///
/// A template comes with the model and is as trustworthy as a download: every piece of work is counted against the
/// limits before it is done, so that no template can hang, crash or fill the memory.
final class TemplateInterpreter {
    /// Containers nest no deeper than this; without a bound, releasing or printing a value could overflow the stack.
    static let maximumValueDepth = 150
    /// Nested statements, expressions and calls. Each takes up to about 1.5 KiB of stack in a release build, and six
    /// times that in a debug build; the smallest thread stacks have 512 KiB.
    static let maximumDepth = 200
    /// Text costs one step per this many bytes, beside the step of the operation itself.
    private static let bytesPerStep = 32
    /// As jinja2's sandbox allows.
    static let maximumRangeCount = 100_000

    let limits: ChatTemplate.Limits
    let date: ChatTemplateDate?
    /// The variables the caller passed; the template's own scopes stand above them.
    let variables: TemplateScope
    var scope: TemplateScope
    var output = ""
    /// What the innermost filter block or block assignment captured.
    var capturedOutput: TemplateValue = .none
    /// Line of the expression or statement at work, for error messages.
    var line = 1
    private var steps = 0
    private var depth = 0
    /// Whatever could be part of a cycle of references, to be taken apart when the run ends.
    private var capturedScopes: [TemplateScope] = []
    private var namespaces: [TemplateNamespace] = []

    init(limits: ChatTemplate.Limits, date: ChatTemplateDate?) {
        self.limits = limits
        self.date = date
        variables = TemplateScope(parent: nil)
        scope = variables
    }

    func run(_ body: TemplateStatement.Body) throws(ChatTemplateError) -> String {
        defer { release() }
        scope = TemplateScope(parent: variables, names: body.names)
        capturedScopes.append(scope)
        _ = try execute(body.statements)
        return output
    }

    private func release() {
        for scope in capturedScopes { scope.variables = [:] }
        for namespace in namespaces { namespace.attributes = [:] }
        variables.variables = [:]
        scope = variables
        capturedOutput = .none
    }

    // MARK: - Errors and limits

    func failure(_ message: String) -> ChatTemplateError {
        ChatTemplateError(kind: .evaluation, line: line, message: message)
    }

    func excess(_ message: String) -> ChatTemplateError {
        ChatTemplateError(kind: .limit, line: line, message: message)
    }

    /// Counts work about to be done.
    func spend(_ count: Int = 1) throws(ChatTemplateError) {
        let (sum, overflow) = steps.addingReportingOverflow(count)
        guard !overflow, sum <= limits.maximumSteps else {
            throw excess("the template takes more than \(limits.maximumSteps) steps")
        }
        steps = sum
    }

    /// Counts text about to be made or read through.
    func spend(bytes: Int) throws(ChatTemplateError) {
        guard bytes <= limits.maximumOutputBytes else {
            throw excess("the template makes a text of more than \(limits.maximumOutputBytes) bytes")
        }
        try spend(1 + bytes / Self.bytesPerStep)
    }

    /// Counts `count` texts of `bytes` each, about to be made.
    func spend(bytes: Int, times count: Int) throws(ChatTemplateError) {
        let (product, overflow) = bytes.multipliedReportingOverflow(by: max(0, count))
        try spend(bytes: overflow ? .max : product)
    }

    /// Counts text about to be read through, if `value` is text.
    func spend(on value: TemplateValue) throws(ChatTemplateError) {
        if case .string(let string) = value { try spend(bytes: string.text.utf8.count) }
    }

    func spend(on arguments: TemplateArguments) throws(ChatTemplateError) {
        for value in arguments.positional { try spend(on: value) }
        for keyword in arguments.keywords { try spend(on: keyword.value) }
    }

    /// Counts one more level of recursion, to be given back with ``leave()``.
    func enter() throws(ChatTemplateError) {
        guard depth < Self.maximumDepth else {
            throw excess("expressions and macro calls nest deeper than \(Self.maximumDepth) levels")
        }
        depth += 1
    }

    func leave() { depth -= 1 }

    // MARK: - Output

    func emit(_ text: String) throws(ChatTemplateError) {
        try spend(bytes: text.utf8.count)
        guard output.utf8.count + text.utf8.count <= limits.maximumOutputBytes else {
            throw excess("the template writes more than \(limits.maximumOutputBytes) bytes")
        }
        output += text
    }

    // MARK: - Scopes

    func makeScope(_ names: ScopeNames, parent: TemplateScope) throws(ChatTemplateError) -> TemplateScope {
        try spend(names.assignedFirst.count)
        return TemplateScope(parent: parent, names: names)
    }

    func makeMacro(_ definition: TemplateStatement.Macro) throws(ChatTemplateError) -> TemplateMacro {
        try spend()
        capturedScopes.append(scope)
        return TemplateMacro(definition: definition, scope: scope)
    }

    func makeNamespace() throws(ChatTemplateError) -> TemplateNamespace {
        try spend()
        let namespace = TemplateNamespace()
        namespaces.append(namespace)
        return namespace
    }

    // MARK: - Containers

    func list(_ items: [TemplateValue]) throws(ChatTemplateError) -> TemplateValue { .list(try sequence(items)) }

    func tuple(_ items: [TemplateValue]) throws(ChatTemplateError) -> TemplateValue { .tuple(try sequence(items)) }

    func list(of texts: [String], like receiver: TemplateString? = nil) throws(ChatTemplateError) -> TemplateValue {
        let isMarkup = receiver?.isMarkup ?? false
        return try list(texts.map { .string(TemplateString($0, isMarkup: isMarkup)) })
    }

    private func sequence(_ items: [TemplateValue]) throws(ChatTemplateError) -> TemplateSequence {
        try spend(1 + items.count)
        let sequence = TemplateSequence(items)
        try check(depth: sequence.depth)
        return sequence
    }

    func set(
        _ value: TemplateValue, for key: TemplateValue, in dictionary: inout TemplateDictionary
    ) throws(ChatTemplateError) {
        try spend()
        try spend(on: key)
        guard let key = TemplateKey(key) else { throw failure("a '\(key.typeName)' cannot be the key of a dictionary") }
        dictionary.set(value, for: key)
        try check(depth: dictionary.depth)
    }

    func check(depth: Int) throws(ChatTemplateError) {
        guard depth <= Self.maximumValueDepth else {
            throw excess("values nest deeper than \(Self.maximumValueDepth) levels")
        }
    }
}

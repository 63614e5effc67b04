public import OrderedCollections
public import OrderedJSON

/// A model's own chat template: what turns a conversation into the prompt the model was trained on.
///
/// Templates are written in Jinja and come with the model. This renders them exactly as `apply_chat_template` of
/// Hugging Face's transformers does: jinja2's immutable sandbox with `trim_blocks`, `lstrip_blocks`, `break` and
/// `continue`, the `generation` tag (which is transparent), `raise_exception`, `strftime_now`, and `tojson` without
/// HTML escapes. Left out is what chat templates have no use for: includes and inheritance, recursive loops, and
/// filters that make web pages. Integers have 64 bits; where Python's would grow, rendering fails.
///
///     let template = try ChatTemplate(source: source)
///     let prompt = try template.render(
///         messages: [ChatMessage(role: "user", content: "Hello")], addGenerationPrompt: true)
///
/// Source: https://jinja.palletsprojects.com/en/stable/templates,
/// https://huggingface.co/docs/transformers/chat_templating
public struct ChatTemplate: Sendable {
    /// What a template may use up. A template is as trustworthy as the download it came with.
    public struct Limits: Sendable, Equatable {
        /// UTF-8 bytes of the template itself.
        public var maximumSourceBytes = 1 << 20
        /// Statements and operations of one rendering; long texts cost more than one.
        public var maximumSteps = 10_000_000
        /// UTF-8 bytes of the prompt, and of every text on the way.
        public var maximumOutputBytes = 64 << 20

        public init() {}
    }

    private let body: TemplateStatement.Body
    private let limits: Limits

    /// Parses a template.
    /// - Throws: ``ChatTemplateError`` of the kind `syntax` or `limit`.
    /// - Complexity: O(bytes of `source`).
    public init(source: String, limits: Limits = Limits()) throws(ChatTemplateError) {
        guard source.utf8.count <= limits.maximumSourceBytes else {
            throw ChatTemplateError(
                kind: .limit, line: 1,
                message: "the template has \(source.utf8.count) bytes, at most \(limits.maximumSourceBytes) are allowed"
            )
        }
        body = try TemplateParser.parse(source)
        self.limits = limits
    }

    /// The prompt for a conversation.
    /// - Parameters:
    ///   - messages: objects with at least `role` and `content`.
    ///   - tools: an array of tool descriptions as JSON schemas, or nil.
    ///   - addGenerationPrompt: whether to end with the opening of the assistant's answer.
    ///   - bosToken: the text of the token that begins a sequence; nil leaves the variable undefined.
    ///   - eosToken: the text of the token that ends a sequence; nil leaves the variable undefined.
    ///   - date: what `strftime_now` tells; nil leaves the function undefined, and templates that ask for it first
    ///     fall back on a date of their own.
    ///   - variables: whatever else the template reads, such as `enable_thinking` or `documents`.
    /// - Throws: ``ChatTemplateError``; of the kind `raised` if the template itself refuses the conversation.
    public func render(
        messages: [JSON], tools: JSON? = nil, addGenerationPrompt: Bool, bosToken: String? = nil,
        eosToken: String? = nil, date: ChatTemplateDate? = nil,
        variables: OrderedDictionary<String, JSON> = [:]
    ) throws(ChatTemplateError) -> String {
        let interpreter = TemplateInterpreter(limits: limits, date: date)
        var all: OrderedDictionary<String, JSON> = ["documents": .null]
        if let bosToken { all["bos_token"] = .string(bosToken) }
        if let eosToken { all["eos_token"] = .string(eosToken) }
        all.merge(variables) { _, given in given }
        all["messages"] = .array(
            try messages.enumerated().map { index, message throws(ChatTemplateError) in
                try Self.withReasoningNames(message, index: index)
            })
        all["tools"] = tools ?? .null
        all["add_generation_prompt"] = .bool(addGenerationPrompt)
        for (name, value) in all {
            interpreter.variables.variables[name] = try interpreter.value(of: value)
        }
        return try interpreter.run(body)
    }

    /// The prompt for a conversation of plain texts; see the other `render` for the parameters.
    public func render(
        messages: [ChatMessage], tools: JSON? = nil, addGenerationPrompt: Bool, bosToken: String? = nil,
        eosToken: String? = nil, date: ChatTemplateDate? = nil,
        variables: OrderedDictionary<String, JSON> = [:]
    ) throws(ChatTemplateError) -> String {
        try render(
            messages: messages.map(\.json), tools: tools, addGenerationPrompt: addGenerationPrompt,
            bosToken: bosToken, eosToken: eosToken, date: date, variables: variables)
    }

    /// Templates read a message's reasoning as `reasoning_content` or `thinking`, callers pass it under either name or
    /// as `reasoning`. As in transformers, the template sees it under both.
    private static func withReasoningNames(_ message: JSON, index: Int) throws(ChatTemplateError) -> JSON {
        guard case .object(let members) = message else {
            throw ChatTemplateError(
                kind: .evaluation, line: 1,
                message: "message \(index) must be an object, found \(message.kindName)")
        }
        let names = ["reasoning_content", "thinking", "reasoning"]
        guard let reasoning = names.lazy.compactMap({ members[$0] }).first(where: { !$0.isNull }) else {
            return message
        }
        var aliased: OrderedDictionary<String, JSON> = ["thinking": reasoning]
        aliased.merge(members) { _, given in given }
        aliased["reasoning_content"] = reasoning
        return .object(aliased)
    }
}

extension TemplateInterpreter {
    /// What a template sees of a JSON value.
    func value(of json: JSON, level: Int = 0) throws(ChatTemplateError) -> TemplateValue {
        try check(depth: level)
        switch json {
        case .null: return .none
        case .bool(let value): return .boolean(value)
        case .integer(let value): return .integer(value)
        case .number(let value): return .float(value)
        case .string(let text): return .text(text)
        case .array(let items):
            var values: [TemplateValue] = []
            values.reserveCapacity(items.count)
            for item in items { values.append(try value(of: item, level: level + 1)) }
            return try list(values)
        case .object(let members):
            var dictionary = TemplateDictionary()
            for (name, member) in members {
                try set(try value(of: member, level: level + 1), for: .text(name), in: &dictionary)
            }
            return .dictionary(dictionary)
        }
    }
}

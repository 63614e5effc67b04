public import OrderedJSON

/// The special tokens that a `post_processor` puts around a text.
struct TokenTemplate {
    /// The one token before and the one after; nil where there is none.
    var before: Int?
    var after: Int?

    init() {}

    init(postProcessor: JSON) throws(TokenizerError) {
        let steps = try ComponentReader.flattened(postProcessor, name: "post_processor", sequenceKey: "processors")
        for step in steps {
            switch step.type {
            case "ByteLevel": break  // positions in the text only
            case "TemplateProcessing":
                guard before == nil, after == nil else {
                    throw TokenizerError("\(step.name) is a second template, expected one")
                }
                try read(step)
            case "RobertaProcessing":
                guard before == nil, after == nil else {
                    throw TokenizerError("\(step.name) is a second template, expected one")
                }
                try step.check(knownKeys: ["sep", "cls", "trim_offsets", "add_prefix_space"])
                before = try TokenTemplate.pairedID("cls", in: step)
                after = try TokenTemplate.pairedID("sep", in: step)
            default: throw step.unknownType(expected: "ByteLevel, TemplateProcessing, RobertaProcessing or Sequence")
            }
        }
    }

    /// The id of a token that is written as `["<s>", 0]`.
    private static func pairedID(_ key: String, in step: ComponentReader) throws(TokenizerError) -> Int {
        let pair = try step.array(key)
        guard pair.count == 2, pair[0].stringValue != nil, let id = pair[1].intValue else {
            throw TokenizerError("\(step.name).\(key) is no text with an id")
        }
        return id
    }

    private mutating func read(_ step: ComponentReader) throws(TokenizerError) {
        try step.check(knownKeys: ["single", "pair", "special_tokens"])
        var seesText = false
        for (index, item) in try step.array("single").enumerated() {
            let name = "\(step.name).single[\(index)]"
            let item = try ComponentReader(item, name: name, knownKeys: ["SpecialToken", "Sequence"])
            if item.member("SpecialToken").isNull {
                let sequence = try ComponentReader(item.member("Sequence"), name: "\(name).Sequence")
                guard try sequence.string("id") == "A", !seesText else {
                    throw TokenizerError("\(name) is not the one text of a template, sequence \"A\"")
                }
                seesText = true
                continue
            }
            let special = try ComponentReader(item.member("SpecialToken"), name: "\(name).SpecialToken")
            let id = try TokenTemplate.id(of: special, in: step)
            guard (seesText ? after : before) == nil else {
                throw TokenizerError("\(name) is a second special token on its side of the text, expected one")
            }
            if seesText { after = id } else { before = id }
        }
        guard seesText else { throw TokenizerError("\(step.name).single has no text, sequence \"A\"") }
    }

    private static func id(of special: ComponentReader, in step: ComponentReader) throws(TokenizerError) -> Int {
        let name = try special.string("id") ?? ""
        let table = try ComponentReader(step.member("special_tokens"), name: "\(step.name).special_tokens")
        let entry = try ComponentReader(table.member(name), name: "\(table.name)[\(name.quoted)]")
        let ids = try entry.array("ids")
        guard ids.count == 1, let id = ids[0].intValue else {
            throw TokenizerError("\(entry.name).ids has \(ids.count) ids, expected one number")
        }
        return id
    }
}

extension TokenRoles {
    /// - Parameter id: finds a token by its text.
    init(configuration: JSON?, template: TokenTemplate, id: (String) -> Int?) throws(TokenizerError) {
        self.init()
        if let configuration {
            let file = try ComponentReader(configuration, name: "tokenizer_config.json")
            beginningOfText = try TokenRoles.id("bos_token", in: file, id: id)
            endOfText = try TokenRoles.id("eos_token", in: file, id: id)
            unknown = try TokenRoles.id("unk_token", in: file, id: id)
            padding = try TokenRoles.id("pad_token", in: file, id: id)
            if !file.member("add_bos_token").isNull || !file.member("add_eos_token").isNull {
                addsBeginningOfText = try file.bool("add_bos_token", default: false) && beginningOfText != nil
                addsEndOfText = try file.bool("add_eos_token", default: false) && endOfText != nil
                return
            }
        }
        if let before = template.before {
            guard beginningOfText == nil || beginningOfText == before else {
                throw TokenizerError(
                    "post_processor puts the token \(before) before a text, but bos_token is \(beginningOfText!)")
            }
            beginningOfText = before
            addsBeginningOfText = true
        }
        if let after = template.after {
            guard endOfText == nil || endOfText == after else {
                throw TokenizerError(
                    "post_processor puts the token \(after) after a text, but eos_token is \(endOfText!)")
            }
            endOfText = after
            addsEndOfText = true
        }
    }

    /// A token that tokenizer_config.json names, as a text or as an object with a `content`.
    private static func id(
        _ key: String, in file: ComponentReader, id: (String) -> Int?
    ) throws(TokenizerError) -> Int? {
        let value = file.member(key)
        if value.isNull { return nil }
        guard let text = value.stringValue ?? value["content"]?.stringValue else {
            throw TokenizerError("\(file.name): \(key) is \(value.kindName), expected a text or an object with content")
        }
        guard let id = id(text) else {
            throw TokenizerError("\(file.name): the \(key) \(text.quoted) is not in the vocabulary")
        }
        return id
    }
}

/// What tokenizer_config.json holds beyond the tokenizer itself.
public enum HuggingFaceConfiguration {
    /// The chat template, the one called "default" where there are several; nil if there is none.
    public static func chatTemplate(_ configuration: JSON) -> String? {
        guard let template = configuration["chat_template"] else { return nil }
        if let text = template.stringValue { return text }
        return template.arrayValue?.first { $0["name"]?.stringValue == "default" }?["template"]?.stringValue
    }
}

import OrderedJSON

extension TokenizerOptions {
    /// The options that `pre_tokenizer` and `normalizer` of a tokenizer.json ask for.
    init(preTokenizers: JSON, normalizer: JSON) throws(TokenizerError) {
        var steps: [PreTokenizerStep] = []
        for step in try ComponentReader.flattened(
            preTokenizers, name: "pre_tokenizer", sequenceKey: "pretokenizers")
        {
            steps.append(try PreTokenizerStep(step))
        }
        let preTokenizer: PreTokenizer
        var addsPrefixSpace = false
        switch (steps.dropLast(), steps.last) {
        case ([], .byteLevel(let prefix, splitting: true)):
            preTokenizer = .gpt2
            addsPrefixSpace = prefix
        case ([.digits], .byteLevel(let prefix, splitting: true)):
            preTokenizer = .smolLM
            addsPrefixSpace = prefix
        case (let first, .byteLevel(let prefix, splitting: false)) where first.count == 1 && first[0].pattern != nil:
            preTokenizer = first[0].pattern!
            // The space would come before every piece, not before the text.
            guard !prefix else {
                throw TokenizerError("pre_tokenizer puts a space before every piece, which no known model does")
            }
        default:
            let found = steps.isEmpty ? "none" : steps.map(\.name).joined(separator: ", ")
            throw TokenizerError(
                "pre_tokenizer has the steps \(found), expected ByteLevel; Digits, ByteLevel; "
                    + "or Split, ByteLevel without pattern")
        }
        self.init(
            preTokenizer: preTokenizer, normalizer: try TokenizerOptions.normalizer(normalizer),
            addsPrefixSpace: addsPrefixSpace)
    }

    private static func normalizer(_ json: JSON) throws(TokenizerError) -> Normalizer {
        var normalizer = Normalizer.none
        for step in try ComponentReader.flattened(json, name: "normalizer", sequenceKey: "normalizers") {
            try step.require(type: "NFC", knownKeys: [])
            normalizer = .canonicalComposition
        }
        return normalizer
    }
}

/// One step of a `pre_tokenizer`.
private enum PreTokenizerStep: Equatable {
    /// Bytes as characters, after GPT-2's pattern if `splitting`.
    case byteLevel(addsPrefixSpace: Bool, splitting: Bool)
    case digits
    case split(PreTokenizer)

    init(_ step: ComponentReader) throws(TokenizerError) {
        switch step.type {
        case "ByteLevel":
            try step.check(knownKeys: ["add_prefix_space", "trim_offsets", "use_regex"])
            self = .byteLevel(
                addsPrefixSpace: try step.bool("add_prefix_space", default: true),
                splitting: try step.bool("use_regex", default: true))
        case "Digits":
            try step.check(knownKeys: ["individual_digits"])
            guard try step.bool("individual_digits", default: false) else {
                throw TokenizerError("\(step.name) keeps digits together (individual_digits is false), expected true")
            }
            self = .digits
        case "Split": self = .split(try PreTokenizerStep.splitPattern(step))
        default: throw step.unknownType(expected: "ByteLevel, Digits or Split")
        }
    }

    private static func splitPattern(_ step: ComponentReader) throws(TokenizerError) -> PreTokenizer {
        try step.check(knownKeys: ["pattern", "behavior", "invert"])
        let pattern = try ComponentReader(step.member("pattern"), name: "\(step.name).pattern")
        guard let text = try pattern.string("Regex") else {
            throw TokenizerError("\(pattern.name) has no Regex, the only kind that is known")
        }
        let known: [PreTokenizer] = [.gpt2, .llama3, .qwen2]
        guard let preTokenizer = known.first(where: { $0.pattern == text }) else {
            let names = known.map(\.rawValue).joined(separator: ", ")
            throw TokenizerError("\(pattern.name) is \(text.quoted), expected the pattern of \(names)")
        }
        // The patterns match every character, so keeping the matches and dropping what lies between them is the same.
        let behavior = try step.string("behavior")
        let isInverted = try step.bool("invert", default: false)
        guard (behavior == "Isolated" && !isInverted) || (behavior == "Removed" && isInverted) else {
            let found = "the behavior \((behavior ?? "none").quoted) with invert \(isInverted)"
            throw TokenizerError("\(step.name) has \(found), expected \"Isolated\" with invert false")
        }
        return preTokenizer
    }

    /// The pattern of a split.
    var pattern: PreTokenizer? {
        if case .split(let preTokenizer) = self { preTokenizer } else { nil }
    }

    var name: String {
        switch self {
        case .byteLevel(_, let splitting): splitting ? "ByteLevel" : "ByteLevel without pattern"
        case .digits: "Digits"
        case .split: "Split"
        }
    }
}

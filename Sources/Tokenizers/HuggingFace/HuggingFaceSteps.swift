import OrderedJSON

/// The `normalizer`, `pre_tokenizer` and `decoder` of a tokenizer.json.
struct HuggingFaceSteps {
    private(set) var pipeline = TextPipeline()
    /// Set if the steps are those of one of the known byte-level pre-tokenizers; what the model says is missing.
    private(set) var options: TokenizerOptions?
    /// The text's bytes become characters of ``ByteAlphabet`` last.
    private(set) var isByteLevel = false

    init(_ file: ComponentReader) throws(TokenizerError) {
        for step in try ComponentReader.flattened(
            file.member("normalizer"), name: "normalizer", sequenceKey: "normalizers")
        {
            pipeline.normalizers.append(try NormalizerStep(step))
        }
        let steps = try ComponentReader.flattened(
            file.member("pre_tokenizer"), name: "pre_tokenizer", sequenceKey: "pretokenizers")
        for (index, step) in steps.enumerated() {
            guard step.type == "ByteLevel" else {
                pipeline.preTokenizers.append(try PreTokenizerStep(step))
                continue
            }
            guard index == steps.count - 1 else {
                throw TokenizerError("\(step.name) is ByteLevel, which is only supported as the last step")
            }
            isByteLevel = true
            try step.check(knownKeys: ["add_prefix_space", "trim_offsets", "use_regex"])
            if try step.bool("add_prefix_space", default: true) { pipeline.preTokenizers.append(.prefixSpace) }
            if try step.bool("use_regex", default: true) { pipeline.preTokenizers.append(.scanner(.gpt2)) }
        }
        try readDecoder(file.member("decoder"))
        if isByteLevel { findOptions() }
    }

    /// Recognises the pre-tokenizers that are one scanner, which is several times as fast as step by step.
    private mutating func findOptions() {
        let preTokenizer: PreTokenizer
        var addsPrefixSpace = false
        switch pipeline.preTokenizers.count {
        case 1:
            guard case .scanner(let scanner) = pipeline.preTokenizers[0] else { return }
            preTokenizer = scanner
        case 2:
            guard case .scanner(.gpt2) = pipeline.preTokenizers[1] else { return }
            switch pipeline.preTokenizers[0] {
            case .prefixSpace:
                preTokenizer = .gpt2
                addsPrefixSpace = true
            case .digits(each: true):
                preTokenizer = .smolLM
                pipeline.preTokenizers = [.scanner(.smolLM)]
            default: return
            }
        default: return
        }
        let normalizer: Normalizer
        switch pipeline.normalizers.first {
        case nil: normalizer = .none
        case .form(.composed) where pipeline.normalizers.count == 1: normalizer = .canonicalComposition
        default: return
        }
        options = TokenizerOptions(
            preTokenizer: preTokenizer, normalizer: normalizer, addsPrefixSpace: addsPrefixSpace)
    }

    private mutating func readDecoder(_ json: JSON) throws(TokenizerError) {
        let steps = try ComponentReader.flattened(json, name: "decoder", sequenceKey: "decoders")
        if isByteLevel {
            for step in steps {
                try step.require(type: "ByteLevel", knownKeys: ["add_prefix_space", "trim_offsets", "use_regex"])
            }
            if steps.isEmpty { throw TokenizerError("decoder is \(json.kindName), expected ByteLevel") }
            return
        }
        var isFused = false
        for step in steps {
            let decoder = try DecoderStep(step)
            if isFused {
                switch decoder {
                case .strip, .fuse: break
                default:
                    throw TokenizerError("\(step.name), \(step.type ?? "?"), comes behind Fuse, expected Strip or none")
                }
            }
            if case .fuse = decoder { isFused = true }
            pipeline.decoders.append(decoder)
        }
        if steps.isEmpty { throw TokenizerError("decoder is \(json.kindName), expected Metaspace, Sequence or others") }
    }

    /// Refuses models that don't go with the steps.
    func check(_ model: HuggingFaceModel) throws(TokenizerError) {
        guard case .bytePairs(_, _, let prefix, let suffix) = model.kind else {
            if isByteLevel {
                throw TokenizerError("pre_tokenizer is ByteLevel with a Unigram model, expected a BPE one")
            }
            return
        }
        let affixes = [("continuing_subword_prefix", prefix), ("end_of_word_suffix", suffix)]
        for (key, text) in affixes where !text.isEmpty {
            if isByteLevel {
                throw TokenizerError("model.\(key) is \(text.quoted), which byte-level vocabularies don't use")
            }
            if model.fallsBackToBytes {
                throw TokenizerError("model.\(key) is \(text.quoted) beside byte_fallback, which is not supported")
            }
        }
        if isByteLevel, model.fallsBackToBytes {
            throw TokenizerError("model.byte_fallback is true, which byte-level vocabularies don't use")
        }
    }
}

/// What llama.cpp's names of pre-tokenizers stand for, with the normaliser of the models they are named after.
/// Source: llama.cpp, llama-vocab.cpp.
struct GGUFPreTokenizer {
    enum Form {
        case known(TokenizerOptions)
        /// Patterns one after another.
        case steps([PreTokenizerStep], ignoresMerges: Bool)
    }

    let form: Form
    /// Whether texts begin with the token for that where a file does not say.
    let addsBeginningOfText: Bool

    init(name: String) throws(TokenizerError) {
        addsBeginningOfText = ["llama-bpe", "llama3", "llama-v3"].contains(name)
        switch name {
        case "gpt-2", "gpt2", "default", "phi-2", "mpt", "olmo", "jais", "gigachat", "jina-es", "jina-de",
            "roberta-bpe":
            form = .known(TokenizerOptions(preTokenizer: .gpt2))
        case "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b":
            form = .known(TokenizerOptions(preTokenizer: .smolLM))
        case "llama-bpe", "llama3", "llama-v3":
            form = .known(TokenizerOptions(preTokenizer: .llama3, ignoresMerges: true))
        case "dbrx", "smaug-bpe": form = .known(TokenizerOptions(preTokenizer: .llama3))
        case "qwen2": form = .known(TokenizerOptions(preTokenizer: .qwen2, normalizer: .canonicalComposition))
        case "stablelm2", "deepseek-r1-qwen", "hunyuan": form = .known(TokenizerOptions(preTokenizer: .qwen2))
        default:
            guard let patterns = GGUFPreTokenizer.patterns[name] else {
                let names = "gpt-2, smollm, starcoder, llama-bpe, qwen2, tekken, gpt-4o, deepseek-v3 or deepseek-coder"
                throw TokenizerError("the pre-tokenizer \(name.quoted) is unknown, expected \(names)")
            }
            var steps: [PreTokenizerStep] = []
            for pattern in patterns {
                steps.append(.split(try Pattern(expression: pattern), .isolated, isInverted: false))
            }
            form = .steps(steps, ignoresMerges: name == "tekken")
        }
    }

    /// The patterns of the models' own tokenizer.json files.
    private static let patterns: [String: [String]] = {
        let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
        let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
        let before = #"[^\r\n\p{L}\p{N}]?"#
        let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        let rest = #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        let symbols = ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##
        let deepSeek =
            symbols + #"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        return [
            "tekken": ["\(before)\(upper)*\(lower)+|\(before)\(upper)+\(lower)*|\\p{N}\(rest)"],
            "gpt-4o": [
                "\(before)\(upper)*\(lower)+\(contractions)|\(before)\(upper)+\(lower)*\(contractions)"
                    + "|\\p{N}{1,3}\(rest)"
            ],
            "deepseek-v3": [
                #"\p{N}{1,3}"#, #"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+"#, deepSeek,
            ],
            "deepseek-coder": [
                #"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#,
                #"[\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+"#, #"\p{N}"#,
            ],
        ]
    }()
}

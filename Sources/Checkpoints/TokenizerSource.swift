/// What a checkpoint's tokenizer is to be made from.
public enum TokenizerSource: Sendable {
    case gguf(GGUFTokenizer)
    case folder(TokenizerFiles)
}

/// The paths of a Hugging Face folder's tokenizer files; nil for those that are not there.
public struct TokenizerFiles: Sendable, Equatable {
    /// `tokenizer.json`
    public let tokenizer: String?
    /// `tokenizer_config.json`
    public let configuration: String?
    /// `chat_template.jinja`
    public let chatTemplate: String?
    /// `generation_config.json`
    public let generationConfiguration: String?
    /// `tokenizer.model`, of SentencePiece.
    public let sentencePiece: String?
    /// `vocab.json`
    public let vocabulary: String?
    /// `merges.txt`
    public let merges: String?
    /// `added_tokens.json`
    public let addedTokens: String?
    /// `special_tokens_map.json`
    public let specialTokens: String?
    /// Every file of the folder that a tokenizer or text generation reads, these included; what a copy of the model
    /// takes along.
    public let all: [String]

    /// Whether the files are enough for a tokenizer: `tokenizer.json`, `tokenizer.model`, or `vocab.json` with
    /// `merges.txt`.
    public var areComplete: Bool { tokenizer != nil || sentencePiece != nil || (vocabulary != nil && merges != nil) }
}

/// The tokenizer in a GGUF file's metadata, as plain values.
public struct GGUFTokenizer: Sendable, Equatable {
    /// "gpt2" for byte-level BPE, "llama" for SentencePiece.
    public let model: String
    /// The name of the pre-tokenizer, such as "smollm" or "llama-bpe".
    public let pre: String?
    /// The text of every token; its index is its id.
    public let tokens: [String]
    /// 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte; as long as `tokens`, or empty.
    public let tokenTypes: [Int]
    /// SentencePiece's scores; as long as `tokens`, or empty.
    public let scores: [Float]
    /// "left right" for every merge of byte-pair encoding, most important first.
    public let merges: [String]
    /// Of the token that begins a text (BOS).
    public let beginningID: Int?
    /// Of the token that ends a text (EOS).
    public let endID: Int?
    /// Of the token that ends a turn of a chat (EOT).
    public let endOfTurnID: Int?
    public let unknownID: Int?
    public let paddingID: Int?
    public let addsBeginning: Bool?
    public let addsEnd: Bool?
    public let addsSpacePrefix: Bool?
    /// Jinja.
    public let chatTemplate: String?

    /// A tokenizer that a GGUF file is to have.
    public init(
        model: String, pre: String?, tokens: [String], tokenTypes: [Int], scores: [Float], merges: [String],
        beginningID: Int?, endID: Int?, endOfTurnID: Int?, unknownID: Int?, paddingID: Int?, addsBeginning: Bool?,
        addsEnd: Bool?, addsSpacePrefix: Bool?, chatTemplate: String?
    ) {
        self.model = model
        self.pre = pre
        self.tokens = tokens
        self.tokenTypes = tokenTypes
        self.scores = scores
        self.merges = merges
        self.beginningID = beginningID
        self.endID = endID
        self.endOfTurnID = endOfTurnID
        self.unknownID = unknownID
        self.paddingID = paddingID
        self.addsBeginning = addsBeginning
        self.addsEnd = addsEnd
        self.addsSpacePrefix = addsSpacePrefix
        self.chatTemplate = chatTemplate
    }
}

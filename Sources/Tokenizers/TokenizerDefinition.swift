/// The ids that have a meaning to the model beyond text; nil where a model has no such token.
public struct TokenRoles: Sendable, Equatable {
    /// BOS, put before a text if ``addsBeginningOfText``.
    public var beginningOfText: Int?
    /// EOS, put after a text if ``addsEndOfText``.
    public var endOfText: Int?
    /// UNK. Byte-level vocabularies have no use for it; see ``TokenizerOptions/missingByteToken``.
    public var unknown: Int?
    public var padding: Int?
    public var addsBeginningOfText: Bool
    public var addsEndOfText: Bool

    public init(
        beginningOfText: Int? = nil, endOfText: Int? = nil, unknown: Int? = nil, padding: Int? = nil,
        addsBeginningOfText: Bool = false, addsEndOfText: Bool = false
    ) {
        self.beginningOfText = beginningOfText
        self.endOfText = endOfText
        self.unknown = unknown
        self.padding = padding
        self.addsBeginningOfText = addsBeginningOfText
        self.addsEndOfText = addsEndOfText
    }
}

/// What happens to a text before it is cut into pieces.
public enum Normalizer: String, Sendable, CaseIterable {
    case none
    /// Unicode's normalization form C: one spelling for texts that differ only in how accents are written.
    case canonicalComposition
}

/// How a byte-level BPE tokenizer behaves beyond its vocabulary and merges.
public struct TokenizerOptions: Sendable, Equatable {
    public var normalizer: Normalizer
    public var preTokenizer: PreTokenizer
    /// A piece that is a token as it stands is that token, whatever the merges would make of it (Llama 3).
    public var ignoresMerges: Bool
    /// A space is put before a text that does not start with one, and so after each added token (GPT-2's pattern only).
    public var addsPrefixSpace: Bool
    /// The token for bytes that have none of their own, by id. Without it such bytes are dropped: some vocabularies
    /// were trained on text without certain control characters.
    public var missingByteToken: Int?
    /// A run of missing bytes becomes one token, not one for each byte.
    public var fusesMissingBytes: Bool

    public init(
        preTokenizer: PreTokenizer, normalizer: Normalizer = .none, ignoresMerges: Bool = false,
        addsPrefixSpace: Bool = false, missingByteToken: Int? = nil, fusesMissingBytes: Bool = false
    ) {
        self.preTokenizer = preTokenizer
        self.normalizer = normalizer
        self.ignoresMerges = ignoresMerges
        self.addsPrefixSpace = addsPrefixSpace
        self.missingByteToken = missingByteToken
        self.fusesMissingBytes = fusesMissingBytes
    }
}

/// Everything that makes a tokenizer, checked.
///
/// It comes from a GGUF file's metadata, from a Hugging Face folder or from a SentencePiece model.
public struct TokenizerDefinition: Sendable {
    /// The added tokens' texts together may have this many bytes.
    static let maximumAddedByteCount = 1 << 22

    let vocabulary: Vocabulary
    let model: TokenModel
    let pipeline: TextPipeline
    /// How a byte-level BPE tokenizer with one of the known pre-tokenizers behaves; nil for all others.
    public let options: TokenizerOptions?
    public let roles: TokenRoles
    /// In ascending order of their ids.
    public let addedTokens: [AddedToken]
    /// The ids of special added tokens.
    let specialIDs: Set<Int>
    private let addedIDs: Set<Int>

    /// A byte-level BPE tokenizer.
    /// - Parameters:
    ///   - tokens: the texts of the tokens in id order, written in the byte-level alphabet ("Ġthe" for " the"); nil
    ///     where no token has the id.
    ///   - merges: in the order of their ranks, each two tokens with one space between ("Ġ t").
    ///   - addedTokens: in any order; those that `tokens` lacks extend the vocabulary.
    /// - Throws: `TokenizerError` if tokens or merges occur twice, if merges, added tokens or roles don't fit the
    ///   vocabulary, or if a limit is passed.
    /// - Complexity: O(bytes).
    public init(
        tokens: [String?], merges: [String], addedTokens: [AddedToken] = [], roles: TokenRoles = TokenRoles(),
        options: TokenizerOptions
    ) throws(TokenizerError) {
        if options.addsPrefixSpace && options.preTokenizer != .gpt2 {
            throw TokenizerError(
                "a prefix space is only known with the pre-tokenizer gpt2, found \(options.preTokenizer.rawValue)")
        }
        var pipeline = TextPipeline()
        if options.normalizer == .canonicalComposition { pipeline.normalizers = [.form(.composed)] }
        pipeline.preTokenizers = (options.addsPrefixSpace ? [.prefixSpace] : []) + [.scanner(options.preTokenizer)]
        try self.init(
            tokens: tokens, spelling: .byteLevel, addedTokens: addedTokens, roles: roles, pipeline: pipeline,
            options: options
        ) { (vocabulary) throws(TokenizerError) in
            .bytePairs(
                BytePairRules(
                    units: .bytes, merges: try MergeRules(lines: merges, vocabulary: vocabulary),
                    ignoresMerges: options.ignoresMerges, unknownToken: options.missingByteToken,
                    fusesUnknown: options.fusesMissingBytes))
        }
    }

    /// - Parameter model: makes the model for the vocabulary.
    init(
        tokens: [String?], spelling: Vocabulary.Spelling, addedTokens: [AddedToken], roles: TokenRoles,
        pipeline: TextPipeline, options: TokenizerOptions? = nil,
        model: (Vocabulary) throws(TokenizerError) -> TokenModel
    ) throws(TokenizerError) {
        let texts = try TokenizerDefinition.texts(tokens, extendedBy: addedTokens)
        self.addedTokens = addedTokens.sorted { $0.id < $1.id }
        specialIDs = Set(addedTokens.lazy.filter(\.isSpecial).map(\.id))
        addedIDs = Set(addedTokens.lazy.map(\.id))
        vocabulary = try Vocabulary(
            texts: texts, specialIDs: specialIDs, spelling: spelling,
            isListed: { tokens.indices.contains($0) && tokens[$0] != nil })
        self.model = try model(vocabulary)
        self.roles = roles
        self.pipeline = pipeline
        self.options = options
        try checkRoles()
    }

    /// The tokens' texts with those of added tokens beside them.
    private static func texts(_ tokens: [String?], extendedBy added: [AddedToken]) throws(TokenizerError) -> [String?] {
        var texts = tokens
        var seen: Set<Int> = []
        var byteCount = 0
        for token in added {
            let name = "the added token \(token.content.quoted)"
            guard (0..<Vocabulary.maximumCount).contains(token.id) else {
                throw TokenizerError("\(name) has the id \(token.id), expected 0 to \(Vocabulary.maximumCount - 1)")
            }
            guard !token.content.isEmpty else { throw TokenizerError("the added token \(token.id) has no text") }
            byteCount += token.content.utf8.count
            guard byteCount <= maximumAddedByteCount else {
                throw TokenizerError("the added tokens have more than \(maximumAddedByteCount) bytes of text")
            }
            guard seen.insert(token.id).inserted else {
                throw TokenizerError("two added tokens have the id \(token.id), one of them \(token.content.quoted)")
            }
            if token.id >= texts.count { texts += Array(repeating: nil, count: token.id + 1 - texts.count) }
            if let text = texts[token.id], !text.utf8.elementsEqual(token.content.utf8) {
                throw TokenizerError("\(name) has the id \(token.id), which belongs to \(text.quoted)")
            }
            texts[token.id] = token.content
        }
        return texts
    }

    private func checkRoles() throws(TokenizerError) {
        let named: [(String, Int?)] = [
            ("beginning-of-text", roles.beginningOfText), ("end-of-text", roles.endOfText), ("unknown", roles.unknown),
            ("padding", roles.padding), ("missing-byte", options?.missingByteToken),
        ]
        for case (let name, let id?) in named where !vocabulary.contains(id) {
            throw TokenizerError(
                "the \(name) token has the id \(id), which is not in the vocabulary of \(vocabulary.count) ids")
        }
        if roles.addsBeginningOfText && roles.beginningOfText == nil {
            throw TokenizerError("a beginning-of-text token is to be added, but none is named")
        }
        if roles.addsEndOfText && roles.endOfText == nil {
            throw TokenizerError("an end-of-text token is to be added, but none is named")
        }
    }
}

extension TokenizerDefinition {
    /// One more than the largest id.
    public var tokenCount: Int { vocabulary.count }

    /// How many merges a byte pair encoding has; 0 if the model goes by scores.
    public var mergeCount: Int {
        if case .bytePairs(let rules) = model { rules.merges.count } else { 0 }
    }

    /// The kind of tokenizer, for people: "byte-level BPE", "SentencePiece unigram" and the like.
    public var kindName: String {
        switch model {
        case .bytePairs: vocabulary.spelling == .byteLevel ? "byte-level BPE" : "BPE"
        case .unigram: "unigram"
        case .sentencePiece(let model): model.file.kind == .unigram ? "SentencePiece unigram" : "SentencePiece BPE"
        }
    }

    /// The name of the pre-tokenizer where it is one of the known ones.
    public var preTokenizerName: String? { options?.preTokenizer.rawValue }

    /// The token's text as vocabulary files write it; nil if no token has this id.
    public func text(of id: Int) -> String? { vocabulary.text(of: id) }

    /// Whether every id stands for the same text as in another tokenizer.
    public func hasTokens(of other: TokenizerDefinition) -> Bool {
        tokenCount == other.tokenCount && (0..<tokenCount).allSatisfy { text(of: $0) == other.text(of: $0) }
    }

    /// Whether an added token has this id.
    func isAdded(_ id: Int) -> Bool { addedIDs.contains(id) }

    /// Bytes that no token stands for, in ascending order: texts that hold them cannot be encoded without loss, unless
    /// other tokens cover them in a vocabulary of characters.
    /// UTF-8 itself never uses 0xC0, 0xC1 and 0xF5 to 0xFF.
    public var missingBytes: [UInt8] { (0...255).filter { vocabulary.byteTokens[Int($0)] < 0 } }
}

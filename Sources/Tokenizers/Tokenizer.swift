/// Text to token ids and back.
///
///     text -> added tokens and text between -> (normaliser) -> pieces -> model -> ids
///
/// The model of byte-level vocabularies merges the bytes of pieces; others merge characters, or cut a text into the
/// pieces of the best scores.
///
/// Immutable, so any number of tasks may share one.
public struct Tokenizer: Sendable {
    public let definition: TokenizerDefinition
    /// Added tokens that are looked for in the text as it comes.
    private let matcher: AddedTokenMatcher
    /// Added tokens that are looked for in the normalised text between those.
    private let normalizedMatcher: AddedTokenMatcher
    /// The normalised texts of those, which they are decoded to; for vocabularies that are not byte-level.
    private let normalizedTexts: [Int: ArraySlice<UInt8>]

    public init(_ definition: TokenizerDefinition) {
        self.definition = definition
        let plain = definition.addedTokens.filter { !$0.isNormalized }
        let normalized = definition.addedTokens.filter(\.isNormalized)
        matcher = AddedTokenMatcher(tokens: plain, patterns: plain.map(\.content))
        let texts = normalized.map { definition.pipeline.normalized(Array($0.content.utf8)).bytes }
        normalizedMatcher = AddedTokenMatcher(
            tokens: normalized, patterns: texts.map { String(decoding: $0, as: UTF8.self) })
        let isByteLevel = definition.vocabulary.spelling == .byteLevel
        normalizedTexts =
            isByteLevel
            ? [:]
            : Dictionary(
                uniqueKeysWithValues: zip(normalized.map(\.id), texts.map { $0[...] }))
    }
}

// MARK: - Encoding

extension Tokenizer {
    /// The ids of `text`.
    ///
    /// Equal, id for id, to what the `tokenizers` package gives for the same definition, or `sentencepiece` for a
    /// `tokenizer.model`. Both refuse what is no Unicode text, surrogates without a partner: here these end in the
    /// reading of JSON, and a `String` has none. Bytes that are not UTF-8 come repaired, with U+FFFD for each maximal
    /// part of a character.
    /// - Parameters:
    ///   - addingSpecialTokens: put the tokens for the beginning and the end of a text around it, if the definition
    ///     says so.
    ///   - parsingSpecialTokens: where the text spells a special token, such as `<|im_end|>`, that token is meant.
    ///     Without it, special tokens are ordinary text: what people type must not end their turn. Added tokens that
    ///     are not special are found either way.
    /// - Complexity: O(n log n) time and O(n) memory in the bytes of `text`, which must be fewer than 2^31.
    public func encode(_ text: String, addingSpecialTokens: Bool = true, parsingSpecialTokens: Bool = true) -> [Int] {
        let roles = definition.roles
        var ids: [Int] = []
        if addingSpecialTokens, roles.addsBeginningOfText, let id = roles.beginningOfText { ids.append(id) }
        var encoder = PieceEncoder(definition)
        var text = text
        text.withUTF8 { bytes in
            precondition(bytes.count < Int32.max, "a text of at most 2^31 - 2 bytes")
            for part in matcher.parts(of: bytes, findingSpecial: parsingSpecialTokens) {
                switch part {
                case .token(let id): ids.append(id)
                case .text(let range):
                    encodeText(
                        UnsafeBufferPointer(rebasing: bytes[range]), startsText: range.lowerBound == 0,
                        findingSpecial: parsingSpecialTokens, with: &encoder, into: &ids)
                }
            }
        }
        if addingSpecialTokens, roles.addsEndOfText, let id = roles.endOfText { ids.append(id) }
        return ids
    }

    /// - Parameter startsText: nothing comes before this text.
    private func encodeText(
        _ text: UnsafeBufferPointer<UInt8>, startsText: Bool, findingSpecial: Bool, with encoder: inout PieceEncoder,
        into ids: inout [Int]
    ) {
        guard !definition.pipeline.normalizers.isEmpty || !normalizedMatcher.isEmpty else {
            return encoder.encode(text, startsText: startsText, into: &ids)
        }
        let (normalized, keepsStart) = definition.pipeline.normalized(Array(text))
        normalized.withUnsafeBufferPointer { bytes in
            for part in normalizedMatcher.parts(of: bytes, findingSpecial: findingSpecial) {
                switch part {
                case .token(let id): ids.append(id)
                case .text(let range):
                    encoder.encode(
                        UnsafeBufferPointer(rebasing: bytes[range]),
                        startsText: startsText && keepsStart && range.lowerBound == 0, into: &ids)
                }
            }
        }
    }
}

// MARK: - Decoding

extension Tokenizer {
    /// The text of `ids`. Bytes that are not UTF-8 become U+FFFD, one for each maximal part of a character, as in
    /// `String(decoding:as:)`.
    ///
    /// Ids without a token stand for nothing: a model's output may have more rows than its vocabulary has tokens.
    ///
    /// `decode(encode(text)) == text` for every text, save what the definition itself takes away: a normaliser, a
    /// prefix space, white space stripped around added tokens, and ``TokenizerDefinition/missingBytes``.
    /// - Parameter skippingSpecialTokens: leave out the special tokens.
    public func decode(_ ids: some Sequence<Int>, skippingSpecialTokens: Bool = false) -> String {
        guard definition.vocabulary.spelling == .byteLevel else {
            var stream = StreamingDetokenizer(tokenizer: self, skippingSpecialTokens: skippingSpecialTokens)
            let text = ids.reduce(into: "") { $0 += stream.append($1) }
            return text + stream.finish()
        }
        var bytes: [UInt8] = []
        for id in ids { bytes.append(contentsOf: self.bytes(of: id, skippingSpecialTokens: skippingSpecialTokens)) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes that the token stands for; none if no token has this id. They need not be whole characters.
    ///
    /// Outside byte-level vocabularies they are the token's text as the vocabulary has it, with `▁` for a space.
    public func bytes(of id: Int, skippingSpecialTokens: Bool = false) -> ArraySlice<UInt8> {
        if skippingSpecialTokens && definition.specialIDs.contains(id) { return [] }
        return normalizedTexts[id] ?? definition.vocabulary.bytes(of: id)
    }

    /// The id of the added token that this text spells, or nil.
    public func addedToken(_ content: String) -> Int? {
        definition.addedTokens.first { $0.content.utf8.elementsEqual(content.utf8) }?.id
    }

    public func isSpecial(_ id: Int) -> Bool { definition.specialIDs.contains(id) }
}

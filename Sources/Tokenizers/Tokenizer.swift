/// Text to token ids and back, for byte-level BPE vocabularies.
///
///     text -> added tokens and text between -> (normaliser) -> pieces -> bytes -> merges -> ids
///
/// Immutable, so any number of tasks may share one.
public struct Tokenizer: Sendable {
    public let definition: TokenizerDefinition
    /// Added tokens that are looked for in the text as it comes.
    private let matcher: AddedTokenMatcher
    /// Added tokens that are looked for in the normalised text between those.
    private let normalizedMatcher: AddedTokenMatcher

    public init(_ definition: TokenizerDefinition) {
        self.definition = definition
        let plain = definition.addedTokens.filter { !$0.isNormalized }
        let normalized = definition.addedTokens.filter(\.isNormalized)
        matcher = AddedTokenMatcher(tokens: plain, patterns: plain.map(\.content))
        normalizedMatcher = AddedTokenMatcher(
            tokens: normalized,
            patterns: normalized.map { token in
                definition.options.normalizer == .none ? token.content : CanonicalComposition.composed(token.content)
            })
    }
}

// MARK: - Encoding

extension Tokenizer {
    /// The ids of `text`.
    ///
    /// Equal, id for id, to what the `tokenizers` package gives for the same definition.
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
        var merger = BytePairMerger(definition: definition)
        var text = text
        text.withUTF8 { bytes in
            precondition(bytes.count < Int32.max, "a text of at most 2^31 - 2 bytes")
            for part in matcher.parts(of: bytes, findingSpecial: parsingSpecialTokens) {
                switch part {
                case .token(let id): ids.append(id)
                case .text(let range):
                    normalize(UnsafeBufferPointer(rebasing: bytes[range])) { normalized in
                        encodeNormalized(normalized, findingSpecial: parsingSpecialTokens, with: &merger, into: &ids)
                    }
                }
            }
        }
        if addingSpecialTokens, roles.addsEndOfText, let id = roles.endOfText { ids.append(id) }
        return ids
    }

    private func normalize(_ text: UnsafeBufferPointer<UInt8>, then body: (UnsafeBufferPointer<UInt8>) -> Void) {
        switch definition.options.normalizer {
        case .none: body(text)
        case .canonicalComposition:
            guard let composed = CanonicalComposition.composed(text) else { return body(text) }
            composed.withUnsafeBufferPointer(body)
        }
    }

    private func encodeNormalized(
        _ text: UnsafeBufferPointer<UInt8>, findingSpecial: Bool, with merger: inout BytePairMerger,
        into ids: inout [Int]
    ) {
        guard !normalizedMatcher.isEmpty else { return encodePlain(text, with: &merger, into: &ids) }
        for part in normalizedMatcher.parts(of: text, findingSpecial: findingSpecial) {
            switch part {
            case .token(let id): ids.append(id)
            case .text(let range):
                encodePlain(UnsafeBufferPointer(rebasing: text[range]), with: &merger, into: &ids)
            }
        }
    }

    /// Text without added tokens.
    private func encodePlain(
        _ text: UnsafeBufferPointer<UInt8>, with merger: inout BytePairMerger, into ids: inout [Int]
    ) {
        if definition.options.addsPrefixSpace, let first = text.first, first != UInt8(ascii: " ") {
            ([UInt8(ascii: " ")] + text).withUnsafeBufferPointer { encodePieces($0, with: &merger, into: &ids) }
        } else {
            encodePieces(text, with: &merger, into: &ids)
        }
    }

    private func encodePieces(
        _ text: UnsafeBufferPointer<UInt8>, with merger: inout BytePairMerger, into ids: inout [Int]
    ) {
        var scanner = PieceScanner(text, preTokenizer: definition.options.preTokenizer)
        while let piece = scanner.next() {
            merger.encode(UnsafeBufferPointer(rebasing: text[piece]), into: &ids)
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
        var bytes: [UInt8] = []
        for id in ids { bytes.append(contentsOf: self.bytes(of: id, skippingSpecialTokens: skippingSpecialTokens)) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes that the token stands for; none if no token has this id. They need not be whole characters.
    public func bytes(of id: Int, skippingSpecialTokens: Bool = false) -> ArraySlice<UInt8> {
        if skippingSpecialTokens && definition.specialIDs.contains(id) { return [] }
        return definition.vocabulary.bytes(of: id)
    }

    /// The id of the added token that this text spells, or nil.
    public func addedToken(_ content: String) -> Int? {
        definition.addedTokens.first { $0.content.utf8.elementsEqual(content.utf8) }?.id
    }

    public func isSpecial(_ id: Int) -> Bool { definition.specialIDs.contains(id) }
}

/// A SentencePiece model: how it cuts texts into pieces, and what it makes of ids.
struct SentencePieceModel: Sendable {
    let file: SentencePieceFile
    let normalizer: SentencePieceNormalizer
    /// The space in front comes before every text between special tokens, not only at the very beginning.
    let addsPrefixEverywhere: Bool
    let unknownID: Int
    /// The piece of each byte; empty without byte fallback.
    let byteIDs: [Int]
    /// nil for byte pair encoding.
    private let unigram: UnigramModel?

    /// - Parameters:
    ///   - file: its pieces are those of `vocabulary`, which may have more.
    /// - Throws: `TokenizerError` if pieces are missing that every model needs.
    init(
        _ file: SentencePieceFile, vocabulary: Vocabulary, addsPrefixEverywhere: Bool = true
    ) throws(TokenizerError) {
        self.file = file
        self.addsPrefixEverywhere = addsPrefixEverywhere
        let unknown = file.pieces.indices.filter { file.pieces[$0].type == .unknown }
        guard unknown.count == 1 else {
            throw TokenizerError("tokenizer.model has \(unknown.count) unknown pieces, expected 1")
        }
        unknownID = unknown[0]
        byteIDs = try SentencePieceModel.byteIDs(file)
        let userDefined = file.pieces.indices.filter { file.pieces[$0].type == .userDefined }
        normalizer = SentencePieceNormalizer(
            characterMap: file.characterMap.isEmpty ? nil : try CharacterMap(file.characterMap),
            addsDummyPrefix: file.addsDummyPrefix, removesExtraWhitespace: file.removesExtraWhitespace,
            escapesWhitespace: file.escapesWhitespace,
            userDefined: userDefined.isEmpty
                ? nil : PrefixTrie(userDefined.map { (vocabulary.bytes(of: $0), Int32($0)) }))
        guard file.kind == .unigram else {
            unigram = nil
            return
        }
        let normal = file.pieces.indices.filter { file.pieces[$0].type == .normal }
        let scores = normal.map { file.pieces[$0].score }
        unigram = UnigramModel(
            vocabulary: vocabulary, scores: file.pieces.map { Double($0.score) }, ids: (normal + userDefined).sorted(),
            unknownID: unknownID, userDefined: userDefined,
            worst: Double(scores.min() ?? .greatestFiniteMagnitude),
            best: Double(scores.max() ?? 0), isSinglePrecision: true)
    }

    private static func byteIDs(_ file: SentencePieceFile) throws(TokenizerError) -> [Int] {
        var ids = [Int](repeating: -1, count: 256)
        for (id, piece) in file.pieces.enumerated() where piece.type == .byte {
            guard let byte = Vocabulary.byte(fallback: piece.text.utf8) else {
                throw TokenizerError("tokenizer.model: the byte piece \(id) is \(piece.text.quoted), expected <0x00>")
            }
            ids[Int(byte)] = id
        }
        guard file.fallsBackToBytes else { return [] }
        if let missing = ids.firstIndex(of: -1) {
            throw TokenizerError("tokenizer.model falls back to bytes but has no piece for the byte \(missing)")
        }
        return ids
    }

    /// Appends the ids of a text (valid UTF-8) without special tokens.
    /// - Parameter startsText: nothing comes before it.
    /// - Complexity: O(n log n) for byte pairs, O(n x longest piece) else.
    func encode(
        _ text: UnsafeBufferPointer<UInt8>, startsText: Bool, vocabulary: Vocabulary, into ids: inout [Int]
    ) {
        let normalized = normalizer.normalized(text, isContinued: !startsText && !addsPrefixEverywhere)
        normalized.withUnsafeBufferPointer { bytes in
            if let unigram {
                append(unigram.pieces(of: bytes), of: bytes, to: &ids)
            } else {
                var merger = SentencePieceMerger(self, vocabulary: vocabulary, bytes)
                append(merger.pieces(), of: bytes, to: &ids)
            }
        }
    }

    /// Unknown pieces become bytes, or one unknown token for a run of them.
    private func append(
        _ pieces: [UnigramModel.Piece], of text: UnsafeBufferPointer<UInt8>, to ids: inout [Int]
    ) {
        var followsUnknown = false
        for piece in pieces {
            let isUnknown = piece.id == unknownID
            if isUnknown && !byteIDs.isEmpty {
                for byte in text[piece.range] { ids.append(byteIDs[Int(byte)]) }
            } else if !(isUnknown && followsUnknown) {
                ids.append(piece.id)
            }
            followsUnknown = isUnknown
        }
    }
}

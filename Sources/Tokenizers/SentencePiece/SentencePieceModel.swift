/// A SentencePiece model: how it cuts texts into pieces, and what it makes of ids.
struct SentencePieceModel: Sendable {
    let file: SentencePieceFile
    let normalizer: SentencePieceNormalizer
    /// The space in front comes before every text between special tokens, not only at the very beginning.
    let addsPrefixEverywhere: Bool
    let unknownID: Int
    /// The piece of each byte; empty without byte fallback.
    let byteIDs: [Int]
    let pieces: Pieces

    /// How a normalised text is cut.
    enum Pieces: Sendable {
        case bytePairs(SentencePieceRules)
        case unigram(UnigramModel<Float>)
    }

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
            pieces = .bytePairs(try SentencePieceRules(file, vocabulary: vocabulary))
            return
        }
        let normal = file.pieces.indices.filter { file.pieces[$0].type == .normal }
        var scores = file.pieces.map(\.score)
        for id in userDefined { scores[id] = SentencePieceModel.userDefinedScore(vocabulary.bytes(of: id).count) }
        pieces = .unigram(
            UnigramModel(
                vocabulary: vocabulary, scores: scores, ids: (normal + userDefined).sorted(), unknownID: unknownID,
                worst: normal.map { scores[$0] }.min() ?? .greatestFiniteMagnitude, limit: 100_000))
    }

    /// What a piece that a user defined counts, whatever its file says: more than any others, and the longer the more.
    /// Source: sentencepiece 0.2.3, unigram_model.cc; versions before counted it otherwise.
    private static func userDefinedScore(_ byteCount: Int) -> Float { Float(0.1 * Double(byteCount - 1)) }

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
}

/// Turns texts without special tokens into ids, keeping its buffers from text to text.
struct SentencePieceEncoder {
    private let model: SentencePieceModel
    private var merger: SentencePieceMerger?
    private var normalized: [UInt8] = []

    init(_ model: SentencePieceModel) {
        self.model = model
        if case .bytePairs(let rules) = model.pieces { merger = SentencePieceMerger(rules, of: model) }
    }

    /// Appends the ids of a text (valid UTF-8).
    /// - Parameter startsText: nothing comes before it.
    /// - Complexity: O(n log n) for byte pairs, O(n x longest piece) else.
    mutating func encode(_ text: UnsafeBufferPointer<UInt8>, startsText: Bool, into ids: inout [Int]) {
        model.normalizer.normalize(
            text, isContinued: !startsText && !model.addsPrefixEverywhere, into: &normalized)
        normalized.withUnsafeBufferPointer { bytes in
            switch model.pieces {
            case .bytePairs: merger?.encode(bytes, into: &ids)
            case .unigram(let unigram): encode(bytes, with: unigram, into: &ids)
            }
        }
    }

    /// Unknown pieces become bytes, or one unknown token for a run of them.
    private func encode(
        _ text: UnsafeBufferPointer<UInt8>, with unigram: UnigramModel<Float>, into ids: inout [Int]
    ) {
        var followsUnknown = false
        unigram.forEachPiece(of: text) { range, id in
            let isUnknown = id == model.unknownID
            if isUnknown && !model.byteIDs.isEmpty {
                for byte in text[range] { ids.append(model.byteIDs[Int(byte)]) }
            } else if !(isUnknown && followsUnknown) {
                ids.append(Int(id))
            }
            followsUnknown = isUnknown
        }
    }
}

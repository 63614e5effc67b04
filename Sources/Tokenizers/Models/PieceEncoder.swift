/// What a tokenizer's model is.
enum TokenModel: Sendable {
    case bytePairs(BytePairRules)
    /// As the `tokenizers` package has it.
    case unigram(UnigramModel<Double>, unknownID: Int, fallsBackToBytes: Bool)
    case sentencePiece(SentencePieceModel)
}

/// Turns normalised text without added tokens into ids, keeping its buffers from text to text.
struct PieceEncoder {
    private let definition: TokenizerDefinition
    private var merger: BytePairMerger?
    private var sentencePiece: SentencePieceEncoder?

    init(_ definition: TokenizerDefinition) {
        self.definition = definition
        switch definition.model {
        case .bytePairs(let rules):
            merger = BytePairMerger(rules, vocabulary: definition.vocabulary, specialIDs: definition.specialIDs)
        case .sentencePiece(let model): sentencePiece = SentencePieceEncoder(model)
        case .unigram: break
        }
    }

    /// Appends the ids of `text`.
    /// - Parameter startsText: nothing comes before it.
    mutating func encode(_ text: UnsafeBufferPointer<UInt8>, startsText: Bool, into ids: inout [Int]) {
        if sentencePiece != nil {
            sentencePiece?.encode(text, startsText: startsText, into: &ids)
            return
        }
        // One scanner is the common case: its pieces need not be kept.
        if let options = definition.options, !options.addsPrefixSpace {
            var scanner = PieceScanner(text, preTokenizer: options.preTokenizer)
            while let piece = scanner.next() { encode(piece: UnsafeBufferPointer(rebasing: text[piece]), into: &ids) }
            return
        }
        var list = PieceList(Array(text), startsText: startsText)
        for step in definition.pipeline.preTokenizers { step.apply(to: &list) }
        list.bytes.withUnsafeBufferPointer { bytes in
            for piece in list.pieces { encode(piece: UnsafeBufferPointer(rebasing: bytes[piece]), into: &ids) }
        }
    }

    private mutating func encode(piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        switch definition.model {
        case .bytePairs: merger?.encode(piece, into: &ids)
        case .unigram(let model, let unknownID, let fallsBackToBytes):
            encode(piece, with: model, unknownID: unknownID, fallsBackToBytes: fallsBackToBytes, into: &ids)
        case .sentencePiece: preconditionFailure("SentencePiece models see whole texts")
        }
    }

    /// A run of unknown characters is one token, unless that text is a token after all; see ``UnigramModel``.
    private func encode(
        _ text: UnsafeBufferPointer<UInt8>, with model: UnigramModel<Double>, unknownID: Int, fallsBackToBytes: Bool,
        into ids: inout [Int]
    ) {
        let vocabulary = definition.vocabulary
        func append(_ range: Range<Int>) {
            let bytes = UnsafeBufferPointer(rebasing: text[range])
            if let id = vocabulary.id(of: bytes) {
                ids.append(Int(id))
            } else if fallsBackToBytes, bytes.allSatisfy({ vocabulary.byteTokens[Int($0)] >= 0 }) {
                for byte in bytes { ids.append(Int(vocabulary.byteTokens[Int(byte)])) }
            } else {
                ids.append(unknownID)
            }
        }
        var unknown: Range<Int>?
        model.forEachPiece(of: text) { range, id in
            if id == unknownID {
                unknown = (unknown?.lowerBound ?? range.lowerBound)..<range.upperBound
                return
            }
            if let range = unknown { append(range) }
            unknown = nil
            ids.append(Int(id))
        }
        if let range = unknown { append(range) }
    }
}

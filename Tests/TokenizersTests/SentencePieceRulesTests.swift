import Testing

@testable import Tokenizers

/// What decides in SentencePiece models that no training makes; frozen vectors of many are in `Fixtures/zoo.json`.
@Suite struct SentencePieceRulesTests {
    private typealias PieceType = SentencePieceFile.PieceType

    private func tokenizer(
        _ kind: SentencePieceFile.Kind, _ pieces: [(String, Float, PieceType)]
    ) throws -> Tokenizer {
        var file = SentencePieceFile()
        file.kind = kind
        file.addsDummyPrefix = false
        file.pieces = [.init(text: "<unk>", type: .unknown)]
        for (text, score, type) in pieces { file.pieces.append(.init(text: text, score: score, type: type)) }
        return Tokenizer(try TokenizerDefinition(sentencePieceModel: file.bytes))
    }

    private func ids(_ text: String, _ tokenizer: Tokenizer) -> [Int] {
        tokenizer.encode(text, addingSpecialTokens: false, parsingSpecialTokens: false)
    }

    @Test func ranksScoresByTheirBits() {
        let scores: [Float] = [.greatestFiniteMagnitude, 2, 1, .leastNonzeroMagnitude, 0, -0.0, -1, -2]
        let ranks = (scores + [-.greatestFiniteMagnitude]).map { SentencePieceRules.rank(score: $0) }
        #expect(ranks == ranks.sorted() && Set(ranks).count == ranks.count)
        #expect(ranks.last! < UInt32.max)
    }

    @Test func mergesTheLeftmostOfEqualScores() throws {
        let pieces: [(String, Float, PieceType)] = [("a", 0, .normal), ("b", 0, .normal)]
        #expect(ids("aba", try tokenizer(.bytePairs, pieces + [("ab", -1, .normal), ("ba", -1, .normal)])) == [3, 1])
        #expect(ids("aba", try tokenizer(.bytePairs, pieces + [("ab", -0.0, .normal), ("ba", 0, .normal)])) == [1, 4])
    }

    /// Looking up the parts of long pieces must not take minutes.
    @Test func refusesTooLongPieces() {
        let long = (1...5).map { (String(repeating: "a", count: 40_000 + $0), Float(0), PieceType.normal) }
        do {
            _ = try tokenizer(.bytePairs, long)
            Issue.record("nothing was refused")
        } catch { #expect("\(error)".contains("together are 8001200055, expected at most 4294967296")) }
    }

    /// "é" is in a piece, but none itself.
    @Test func mergesCharactersThatAreNoPieces() throws {
        let tokenizer = try tokenizer(.bytePairs, [("a", 0, .normal), ("éa", -1, .normal)])
        #expect(ids("aéaé", tokenizer) == [1, 2, 0])
        #expect(ids("ééxa", tokenizer) == [0, 1])
    }

    @Test func takesUnusedPiecesApart() throws {
        let tokenizer = try tokenizer(
            .bytePairs,
            [
                ("a", 0, .normal), ("b", 0, .normal), ("ab", -1, .unused), ("abb", -2, .unused), ("abba", -3, .normal),
                ("x", 0, .unused),
            ])
        #expect(ids("abba", tokenizer) == [5])
        #expect(ids("abb", tokenizer) == [1, 2, 2])
        // One character cannot be taken apart.
        #expect(ids("axxb", tokenizer) == [1, 0, 2])
    }

    @Test func controlPiecesAreNoText() throws {
        let tokenizer = try tokenizer(.bytePairs, [("a", 0, .normal), ("c", 0, .control), ("ca", -1, .normal)])
        #expect(ids("caac", tokenizer) == [3, 1, 0])
    }

    /// Whatever its score, and the longest of those that overlap.
    @Test func prefersPiecesOfUsers() throws {
        let letters: [(String, Float, PieceType)] = [("a", -1, .normal), ("b", -1, .normal), ("c", -1, .normal)]
        let users: [(String, Float, PieceType)] = [("ab", -99, .userDefined), ("bcc", -99, .userDefined)]
        let tokenizer = try tokenizer(.unigram, letters + users + [("abc", -0.5, .normal)])
        #expect(ids("abab", tokenizer) == [4, 4])
        #expect(ids("abcc", tokenizer) == [1, 5])
    }

    /// What is no text comes repaired: a surrogate in UTF-8 is three bytes that begin no character, as `sentencepiece`
    /// has it.
    @Test func readsBrokenBytesAsReplacements() throws {
        let tokenizer = try tokenizer(.bytePairs, [("a", 0, .normal), ("\u{FFFD}", 0, .normal)])
        #expect(ids(String(decoding: [0x61, 0xED, 0xA0, 0x80, 0x61], as: UTF8.self), tokenizer) == [1, 2, 2, 2, 1])
        #expect(ids(String(decoding: [0xE2, 0x82, 0x61], as: UTF8.self), tokenizer) == [2, 1])
    }
}

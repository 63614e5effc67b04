import TestSupport
import Testing

@testable import Tokenizers

@Suite struct BytePairMergerTests {
    private func ids(_ text: String, _ definition: TokenizerDefinition) -> [Int] {
        guard case .bytePairs(let rules) = definition.model else { return [] }
        var merger = BytePairMerger(rules, vocabulary: definition.vocabulary, specialIDs: definition.specialIDs)
        var ids: [Int] = []
        Array(text.utf8).withUnsafeBufferPointer { merger.encode($0, into: &ids) }
        return ids
    }

    /// The definition of byte pair encoding, word for word: join the leftmost of the pairs with the lowest rank, again
    /// and again.
    private func naiveIDs(_ text: String, _ definition: TokenizerDefinition) -> [Int] {
        guard case .bytePairs(let rules) = definition.model else { return [] }
        var symbols = text.utf8.map { definition.vocabulary.byteTokens[Int($0)] }
        while true {
            let merges = zip(symbols, symbols.dropFirst()).map { rules.merges.merge($0, $1) }
            guard let rank = merges.compactMap({ $0?.rank }).min() else { return symbols.map { Int($0) } }
            let index = merges.firstIndex { $0?.rank == rank }!
            symbols.replaceSubrange(index...index + 1, with: [merges[index]!.result])
        }
    }

    /// A vocabulary over four letters whose every token is made by one merge.
    private func randomDefinition(mergeCount: Int, using generator: inout SplitMix64) throws -> TokenizerDefinition {
        var tokens = ["a", "b", "c", "d"]
        var merges: [String] = []
        while merges.count < mergeCount {
            let left = tokens.randomElement(using: &generator)!
            let right = tokens.randomElement(using: &generator)!
            guard left.count + right.count < 12, !tokens.contains(left + right) else { continue }
            tokens.append(left + right)
            merges.append(left + " " + right)
        }
        return try TokenizerDefinition(
            tokens: tokens, merges: merges.shuffled(using: &generator), options: TokenizerOptions(preTokenizer: .gpt2))
    }

    @Test(arguments: [0, 1, 2, 5, 20, 100])
    func matchesTheNaiveModel(mergeCount: Int) throws {
        var generator = SplitMix64(seed: UInt64(mergeCount))
        for _ in 0..<20 {
            let definition = try randomDefinition(mergeCount: mergeCount, using: &generator)
            // Forty is where a heap begins.
            for length in [1, 2, 3, 7, 8, 31, 39, 40, 41, 64, 129] {
                let text = String((0..<length).map { _ in "abcd".randomElement(using: &generator)! })
                #expect(ids(text, definition) == naiveIDs(text, definition), "\(text)")
            }
        }
    }

    @Test func joinsTheLeftmostOfEqualPairs() throws {
        let definition = try TokenizerFixture.definition(words: ["aa"])
        #expect(ids("aaaaa", definition) == [256, 256, 97])
    }

    @Test func dropsOrReplacesMissingBytes() throws {
        func definition(_ missing: Int?, fusing: Bool = false) throws -> TokenizerDefinition {
            try TokenizerDefinition(
                tokens: ["a", "b", "ab", "?"], merges: ["a b"],
                options: TokenizerOptions(preTokenizer: .gpt2, missingByteToken: missing, fusesMissingBytes: fusing))
        }
        #expect(ids("axxb", try definition(nil)) == [2])  // what is left over are neighbours
        #expect(ids("axxb", try definition(3)) == [0, 3, 3, 1])
        #expect(ids("axxbxx", try definition(3, fusing: true)) == [0, 3, 1, 3])
        #expect(ids("x", try definition(nil)) == [])
        #expect(ids("x", try definition(3)) == [3])
    }

    @Test func takesWholePiecesWhereMergesAreIgnored() throws {
        func definition(_ ignoresMerges: Bool) throws -> TokenizerDefinition {
            try TokenizerDefinition(
                tokens: ["a", "b", "c", "ab", "abc", "cc"], merges: ["a b"],
                addedTokens: [AddedToken(id: 5, content: "cc")],
                options: TokenizerOptions(preTokenizer: .llama3, ignoresMerges: ignoresMerges))
        }
        #expect(ids("abc", try definition(true)) == [4])
        #expect(ids("abc", try definition(false)) == [3, 2])
        #expect(ids("abca", try definition(true)) == [3, 2, 0])
        #expect(ids("cc", try definition(true)) == [2, 2])  // special tokens are no text
    }
}

import Engine
import TestSupport
import Testing
import ModelFixtures
import Transformer

/// One generator for a whole conversation: what the cache holds is not computed again, and changes nothing.
@Suite struct PrefixReuseTests {
    private static let options = GenerationOptions(maximumTokens: 20)
    private static let prompt = GeneratorTests.prompt

    @Test func givesTheSameTextAsAFreshOne() throws {
        let open = try OpenModel()
        let generator = try open.generator()
        let first = try open.generate(Self.prompt, Self.options, generator: generator).0
        // The next turn: all tokens of the last one and some more. The last generated token has not been run.
        let next = Self.prompt + first.tokens + [65, 66, 67]
        let second = try open.generate(next, Self.options, generator: generator).0
        #expect(second.computedPromptTokens == 4)
        #expect(second.tokens == (try open.greedyTokens(after: next, count: 20)))
        // The same prompt again: one token has to be run for its logits.
        let again = try open.generate(next, Self.options, generator: generator).0
        #expect(again.computedPromptTokens == 1)
        #expect(again.tokens == second.tokens)
    }

    @Test(arguments: [0, 1, 15, 16, 17, 30]) func branchesOffAnywhere(common: Int) throws {
        let open = try OpenModel()
        let generator = try open.generator()
        let first = try open.generate(Self.prompt, Self.options, generator: generator).0
        var branch = Array((Self.prompt + first.tokens).prefix(common))
        branch += [90, 91, 92].filter { $0 != (Self.prompt + first.tokens)[common] }
        let second = try open.generate(branch, Self.options, generator: generator).0
        #expect(second.computedPromptTokens == branch.count - common)
        #expect(second.tokens == (try open.greedyTokens(after: branch, count: 20)))
        // And back: only what the branch left is reused.
        let back = try open.generate(Self.prompt, Self.options, generator: generator).0
        #expect(back.computedPromptTokens == max(Self.prompt.count - common, 1))
        #expect(back.tokens == first.tokens)
    }

    @Test func isWholeAfterAnError() throws {
        struct Stop: Error {}
        let open = try OpenModel()
        let generator = try open.generator()
        var pieces = 0
        #expect(throws: Stop.self) {
            try generator.generate(prompt: Self.prompt, options: Self.options) { _ in
                pieces += 1
                if pieces == 5 { throw Stop() }
            }
        }
        let result = try open.generate(Self.prompt, Self.options, generator: generator).0
        #expect(result.computedPromptTokens == 1)
        #expect(result.tokens == (try open.greedyTokens(after: Self.prompt, count: 20)))
    }

    @Test func countsTheCacheInUse() throws {
        let open = try OpenModel()
        let generator = try open.generator()
        #expect(generator.cacheByteCount == 0)
        _ = try open.generate(Self.prompt, GenerationOptions(maximumTokens: 2), generator: generator)
        // 16 prompt tokens and one more that was run: two blocks.
        let block = KeyValueCache.bytesPerBlock(open.model.configuration, element: .f16)
        #expect(block == 2 * 2 * 2 * 16 * 16 * 2)
        #expect(generator.cacheByteCount == 2 * block)
    }
}

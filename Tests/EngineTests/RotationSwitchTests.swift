import Engine
import ModelFixtures
import OrderedJSON
import Testing
import Transformer

/// Models that rotate long sequences otherwise than short ones: what is cached is computed once more where a text
/// becomes long, so that each token is what the whole text gives at once.
@Suite struct RotationSwitchTests {
    private static let prompt = GeneratorTests.prompt
    private static let options = GenerationOptions(maximumTokens: 20)

    private static func model(shortLimit: Int, long: Double) -> TinyModel {
        var model = OpenModel.talkative
        func factors(_ value: Double) -> JSON { .array((0..<model.headSize / 2).map { _ in .number(value) }) }
        let scaling: JSON = [
            "type": "longrope", "short_factor": factors(0.25), "long_factor": factors(long),
            "original_max_position_embeddings": .integer(shortLimit),
        ]
        model.configurationChanges = [("rope_scaling", scaling)]
        return model
    }

    @Test(arguments: [-1, 0, 1, 8, 19, 40]) func computesTheCacheAnew(beyondPrompt: Int) throws {
        let limit = Self.prompt.count + beyondPrompt
        let open = try OpenModel(Self.model(shortLimit: limit, long: 8))
        let generator = try open.generator()
        let first = try open.generate(Self.prompt, Self.options, generator: generator).0
        let expected = try open.greedyTokens(after: Self.prompt, count: 20)
        #expect(first.tokens == expected)
        // The prompt alone is short again, unless it never was.
        let again = try open.generate(Self.prompt, Self.options, generator: generator).0
        let switches = (0..<19).contains(beyondPrompt)
        #expect(again.computedPromptTokens == (switches ? Self.prompt.count : 1))
        #expect(again.tokens == expected)
        // And a longer one is long from its beginning.
        let next = Self.prompt + first.tokens + [65, 66, 67]
        let second = try open.generate(next, Self.options, generator: generator).0
        #expect(second.tokens == (try open.greedyTokens(after: next, count: 20)))
    }

    /// The test above would pass as well if the long factors were never used.
    @Test func factorsMatter() throws {
        let limit = Self.prompt.count + 4
        let (one, other) = (
            try OpenModel(Self.model(shortLimit: limit, long: 8)),
            try OpenModel(Self.model(shortLimit: limit, long: 0.25))
        )
        let tokens = try one.greedyTokens(after: Self.prompt, count: 20)
        #expect(tokens != (try other.greedyTokens(after: Self.prompt, count: 20)))
        #expect(tokens.prefix(4) == (try other.greedyTokens(after: Self.prompt, count: 4))[...])
    }
}

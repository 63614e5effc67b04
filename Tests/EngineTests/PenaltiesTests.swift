import Testing

@testable import Engine

@Suite struct PenaltiesTests {
    @Test func repetitionCountsPromptAndText() throws {
        var sampler = Sampler(parameters: try .init(repetitionPenalty: 2), vocabularySize: 5)
        sampler.observe(prompt: [0, 1, 1])
        // Adjusted: 2, -2, 1.5, ...
        #expect(try sampler.sample([4, -1, 1.5, 0, 0]) == 0)
        // Adjusted: 0.8, -2, 1.5, ... and then 0.75 for token 2.
        #expect(try sampler.sample([1.6, -1, 1.5, 0, 0]) == 2)
        #expect(try sampler.sample([1.6, -1, 1.5, 0, 0]) == 0)
        // Negative logits move away from 0.
        #expect(try sampler.sample([-1, -1, -1, -1.9, -3]) == 3)
    }

    @Test func presenceAndFrequencyCountOnlyTheText() throws {
        var presence = Sampler(parameters: try .init(presencePenalty: 1), vocabularySize: 3)
        presence.observe(prompt: [0, 0, 0])
        #expect(try (0..<4).map { _ in try presence.sample([3, 2.5, 1.6]) } == [0, 1, 0, 0])

        var frequency = Sampler(parameters: try .init(frequencyPenalty: 1), vocabularySize: 3)
        frequency.observe(prompt: [0, 0, 0])
        #expect(try (0..<6).map { _ in try frequency.sample([3, 2.5, 1.6]) } == [0, 1, 0, 2, 1, 0])

        var reward = Sampler(parameters: try .init(presencePenalty: -2), vocabularySize: 2)
        #expect(try reward.sample([1, 0]) == 0)
        #expect(try reward.sample([1, 2.9]) == 0)
        #expect(try reward.sample([1, 3.1]) == 1)
    }

    @Test func shapeTheProbabilities() throws {
        var sampler = Sampler(
            parameters: try .init(
                temperature: 1, topK: 2, repetitionPenalty: 1.5, presencePenalty: 0.25, frequencyPenalty: 0.5, seed: 1),
            vocabularySize: 4)
        sampler.observe(prompt: [3])
        #expect(try sampler.sample([9, -900, -900, -900]) == 0)
        #expect(try sampler.sample([9, -900, -900, -900]) == 0)
        // Token 0: 6 / 1.5 - 2 * 0.5 - 0.25 = 2.75; token 3: -1 * 1.5 = -1.5.
        let expected = NaiveSampler.probabilities([2.75, 2, -1, -1.5], try .init(temperature: 1, topK: 2))
        for (found, wanted) in zip(try sampler.probabilities([6, 2, -1, -1]), expected) {
            #expect(!(abs(found - wanted) > 1e-6))
        }
    }

    @Test func leaveImpossibleTokensImpossible() throws {
        var sampler = Sampler(parameters: try .init(repetitionPenalty: 2, presencePenalty: -2), vocabularySize: 3)
        sampler.observe(prompt: [0, 2])
        for _ in 0..<3 { #expect(try sampler.sample([-.infinity, 1, -.infinity]) == 1) }
    }

    @Test func rejectForeignTokens() async {
        await #expect(processExitsWith: .failure) {
            var sampler = Sampler(parameters: try .init(repetitionPenalty: 2), vocabularySize: 3)
            sampler.observe(prompt: [3])
        }
    }
}

import TestSupport
import Testing

@testable import Engine

/// Drawn tokens against the probabilities they should have, by the chi-square test.
@Suite struct SamplerDistributionTests {
    private static let draws = 20_000

    /// Pearson's statistic of the counts, and its value that a right sampler exceeds once in 10,000 times
    /// (Wilson and Hilferty's approximation). Outcomes expected fewer than five times are put together.
    private func chiSquare(_ counts: [Int], _ probabilities: [Double]) -> (statistic: Double, critical: Double) {
        let total = Double(counts.reduce(0, +))
        var (statistic, cells, rareCount, rareExpected) = (0.0, 0, 0.0, 0.0)
        for (count, probability) in zip(counts, probabilities) {
            let expected = probability * total
            if expected < 5 {
                rareCount += Double(count)
                rareExpected += expected
            } else {
                statistic += (Double(count) - expected) * (Double(count) - expected) / expected
                cells += 1
            }
        }
        if rareExpected > 0 {
            statistic += (rareCount - rareExpected) * (rareCount - rareExpected) / rareExpected
            cells += 1
        }
        let freedom = Double(max(cells - 1, 1))
        let root = 1 - 2 / (9 * freedom) + 3.719 * (2 / (9 * freedom)).squareRoot()
        return (statistic, freedom * root * root * root)
    }

    private func draw(_ logits: [Float], _ parameters: SamplingParameters) throws -> [Int] {
        var sampler = Sampler(parameters: parameters, vocabularySize: logits.count)
        var counts = [Int](repeating: 0, count: logits.count)
        for _ in 0..<Self.draws { counts[Int(try sampler.sample(logits))] += 1 }
        return counts
    }

    @Test(arguments: [2, 9, 65, 300], [1, 2] as [UInt64])
    func matchesTheNaiveSampler(count: Int, seed: UInt64) throws {
        var random = SplitMix64(seed: seed &* 1000 &+ UInt64(count))
        let logits = randomLogits(count: count, spread: 1.5, using: &random)
        for parameters in [
            try SamplingParameters(temperature: 1, seed: seed),
            try SamplingParameters(temperature: 0.5, topK: 20, topP: 0.9, seed: seed),
            try SamplingParameters(temperature: 2, topP: 0.8, minP: 0.05, seed: seed),
        ] {
            let counts = try draw(logits, parameters)
            let expected = NaiveSampler.probabilities(logits, parameters)
            for token in logits.indices where expected[token] == 0 { #expect(counts[token] == 0) }
            let (statistic, critical) = chiSquare(counts, expected)
            #expect(!(statistic > critical), "chi-square \(statistic) above \(critical), \(parameters)")
        }
    }

    /// The test above would notice a temperature that is off by a tenth.
    @Test func noticesAnotherDistribution() throws {
        var random = SplitMix64(seed: 4)
        let logits = randomLogits(count: 65, spread: 1.5, using: &random)
        let counts = try draw(logits, try .init(temperature: 1.1, seed: 1))
        let (statistic, critical) = chiSquare(counts, NaiveSampler.probabilities(logits, try .init(temperature: 1)))
        #expect(statistic > critical)
    }
}

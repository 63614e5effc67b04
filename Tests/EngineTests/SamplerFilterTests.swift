import Foundation
import TestSupport
import Testing

@testable import Engine

/// What the filters keep, and with which probabilities, against the naive sampler.
@Suite struct SamplerFilterTests {
    private func compare(_ logits: [Float], _ parameters: SamplingParameters) throws {
        let sampler = Sampler(parameters: parameters, vocabularySize: logits.count)
        let found = try sampler.probabilities(logits)
        let expected = NaiveSampler.probabilities(logits, parameters)
        let setting = "\(parameters), \(logits.count) tokens"
        for token in logits.indices {
            // Weights below e^-87 are 0 by definition, and so may be found or not near there.
            if expected[token] < 1e-30 && found[token] < 1e-30 { continue }
            let error = abs(found[token] - expected[token]) / expected[token]
            // An exponent that is rounded to Float makes a relative error that grows with its size.
            let tolerance = 5e-7 * (2 - log(expected[token]))
            guard error <= tolerance else {
                Issue.record("token \(token): \(found[token]), expected \(expected[token]); \(setting)")
                return
            }
        }
    }

    private func sweep(_ logits: [Float], temperature: Double = 1) throws {
        let count = logits.count
        for topK in Set([1, 2, 13, 40, count - 1, count, count + 1]).filter({ $0 > 0 }).sorted() {
            try compare(logits, try .init(temperature: temperature, topK: topK))
            try compare(logits, try .init(temperature: temperature, topK: topK, topP: 0.7, minP: 0.02))
        }
        for topP in [1e-9, 0.05, 0.5, 0.9, 0.95, 0.999, 1] {
            try compare(logits, try .init(temperature: temperature, topP: topP))
        }
        for minP in [1e-4, 0.05, 0.5, 1] {
            try compare(logits, try .init(temperature: temperature, minP: minP))
            try compare(logits, try .init(temperature: temperature, topP: 0.8, minP: minP))
        }
    }

    @Test(arguments: SamplerTests.edgeCounts)
    func keepWhatTheirDefinitionsSay(count: Int) throws {
        var random = SplitMix64(seed: UInt64(count))
        for spread in [Float(0.1), 1, 4] { try sweep(randomLogits(count: count, spread: spread, using: &random)) }
    }

    @Test(arguments: [0.01, 0.3, 0.7, 1.5, 10])
    func followTheTemperature(temperature: Double) throws {
        var random = SplitMix64(seed: 21)
        try sweep(randomLogits(count: 700, spread: 3, using: &random), temperature: temperature)
    }

    @Test(arguments: [2, 8, 300, 1000])
    func countTiesByTokenNumber(count: Int) throws {
        var random = SplitMix64(seed: UInt64(count))
        try sweep([Float](repeating: 1.25, count: count))
        try sweep((0..<count).map { _ in Float(Int.random(in: -2...2, using: &random)) })
        try sweep((0..<count).map { _ in Bool.random(using: &random) ? 0 : -0.0 })
    }

    @Test func findSortedLogitsEitherWay() throws {
        let rising = (0..<900).map { Float($0) / 100 - 4 }
        try sweep(rising)
        try sweep(rising.reversed())
    }

    @Test func passOverImpossibleTokens() throws {
        var random = SplitMix64(seed: 31)
        var logits = randomLogits(count: 900, spread: 2, using: &random)
        for token in 0..<900 where token % 3 != 0 || token < 300 { logits[token] = -.infinity }
        try sweep(logits)
    }

    /// Logits that differ only in their last bits fall into one bin until the last pass.
    @Test func tellApartLogitsThatDifferInTheLastBit() throws {
        var random = SplitMix64(seed: 41)
        let logits = (0..<600).map { _ in
            Float(bitPattern: Float(9).bitPattern + UInt32.random(in: 0..<40, using: &random))
        }
        for topK in [1, 7, 100, 599] {
            let sampler = Sampler(parameters: try .init(temperature: 1, topK: topK), vocabularySize: 600)
            let kept = Set(try sampler.probabilities(logits).enumerated().filter { $0.element > 0 }.map(\.offset))
            let order = logits.indices.sorted { logits[$0] == logits[$1] ? $0 < $1 : logits[$0] > logits[$1] }
            #expect(kept == Set(order.prefix(topK)))
        }
    }

    @Test func workOnALargeVocabulary() throws {
        var random = SplitMix64(seed: 51)
        let logits = randomLogits(count: 49_152, spread: 3, using: &random)
        try compare(logits, try .init(temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05))
        try compare(logits, try .init(temperature: 1, topP: 0.9))
    }
}

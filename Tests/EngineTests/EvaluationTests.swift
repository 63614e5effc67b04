import Foundation
import TestSupport
import Testing

@testable import Engine

@Suite struct EvaluationTests {
    private func likelihood(_ token: Int, _ logits: [Float]) throws(LogitsError) -> Double {
        try logits.withUnsafeBufferPointer { (logits) throws(LogitsError) in
            try negativeLogLikelihood(of: Int32(token), logits: logits)
        }
    }

    @Test(arguments: SamplerTests.edgeCounts + [49_152])
    func likelihoodMatchesDouble(count: Int) throws {
        var random = SplitMix64(seed: UInt64(count))
        for (spread, shift) in [(0, 0), (0.1, 5), (3, -20), (10, 0), (2, 30_000)] as [(Float, Float)] {
            let logits = randomLogits(count: count, spread: spread, using: &random).map { $0 + shift }
            let maximum = Double(logits.max()!)
            let sum = logits.reduce(0.0) { $0 + exp(Double($1) - maximum) }
            for token in [0, count / 2, count - 1] {
                let expected = log(sum) + maximum - Double(logits[token])
                let error = abs(try likelihood(token, logits) - expected)
                #expect(!(error > 1e-6), "token \(token) of \(count), spread \(spread), shift \(shift)")
            }
        }
    }

    @Test func likelihoodHasExactEnds() throws {
        #expect(try likelihood(0, [5]) == 0)
        #expect(try likelihood(1, [-.infinity, 3e38, -3e38]) == 0)
        #expect(try likelihood(0, [-.infinity, 1]) == .infinity)
        #expect(try likelihood(1, [3e38, -3e38]) == 2 * Double(Float(3e38)))
        #expect(!(abs(try likelihood(0, [7, 7, 7, 7]) - log(4)) > 1e-7))
        #expect(throws: LogitsError.notANumber(token: 1)) { try likelihood(0, [1, .nan, 2]) }
        #expect(throws: LogitsError.infinite(token: 2)) { try likelihood(0, [1, 1, .infinity]) }
        #expect(throws: LogitsError.nothingPossible) { try likelihood(0, [-.infinity, -.infinity]) }
        let probability = try [Float](arrayLiteral: 0, 0).withUnsafeBufferPointer { (logits) throws(LogitsError) in
            try logProbability(of: 0, logits: logits)
        }
        #expect(!(abs(probability + log(2)) > 1e-7))
    }

    @Test func perplexityMatchesItsFormulas() throws {
        var random = SplitMix64(seed: 3)
        let values = (0..<5000).map { _ in 1000 + Double.random(in: 0...4, using: &random) - 998 }
        var accumulator = PerplexityAccumulator()
        accumulator.add(window: values.prefix(511))
        accumulator.add(window: values.dropFirst(511))
        let result = try #require(accumulator.result)
        let mean = values.reduce(0, +) / 5000
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 4999
        let error = (variance / 5000).squareRoot()
        #expect(result.scoredTokens == 5000)
        #expect(!(abs(result.meanNegativeLogLikelihood - mean) > 1e-12 * mean))
        #expect(!(abs(result.perplexity - exp(mean)) > 1e-11 * exp(mean)))
        #expect(!(abs(try #require(result.meanStandardError) - error) > 1e-12 * error))
        #expect(!(abs(try #require(result.standardError) - error * exp(mean)) > 1e-11 * error * exp(mean)))
    }

    @Test func perplexityOfLittleOrImpossibleText() throws {
        var accumulator = PerplexityAccumulator()
        #expect(accumulator.result == nil)
        accumulator.add(2)
        #expect(try #require(accumulator.result).perplexity == exp(2))
        #expect(try #require(accumulator.result).standardError == nil)
        accumulator.add(2)
        #expect(try #require(accumulator.result).standardError == 0)
        accumulator.add(.infinity)
        accumulator.add(1)
        let result = try #require(accumulator.result)
        #expect(result.perplexity == .infinity && result.standardError == nil && result.scoredTokens == 4)
    }

    @Test(arguments: [2, 3, 13, 64], [0, 1, 2, 3, 12, 13, 14, 63, 64, 65, 127, 128, 129, 130])
    func windowsCoverTheText(window: Int, tokenCount: Int) throws {
        for limit in [nil, 2, 64, 1000] {
            let windows = try EvaluationWindows(tokenCount: tokenCount, window: window, limit: limit)
            let read = min(tokenCount, limit ?? tokenCount)
            // A single token that is left over has nothing to be predicted from.
            let covered = read % window == 1 ? read - 1 : read
            #expect(windows.flatMap(Array.init) == Array(0..<covered))
            #expect(windows.allSatisfy { $0.count >= 2 && $0.lowerBound % window == 0 })
            #expect(windows.dropLast().allSatisfy { $0.count == window })
            #expect(windows.scoredTokenCount == windows.reduce(0) { $0 + $1.count - 1 })

            let full = try EvaluationWindows(
                tokenCount: tokenCount, window: window, limit: limit, incompleteWindow: .dropped)
            #expect(Array(full) == windows.filter { $0.count == window })
        }
    }

    @Test func windowsRefuseLimitsThatScoreNothing() {
        #expect(throws: EvaluationError.windowTooSmall(1)) { try EvaluationWindows(tokenCount: 9, window: 1) }
        #expect(throws: EvaluationError.windowTooSmall(-4)) { try EvaluationWindows(tokenCount: 9, window: -4) }
        #expect(throws: EvaluationError.limitTooSmall(1)) { try EvaluationWindows(tokenCount: 9, window: 4, limit: 1) }
    }
}

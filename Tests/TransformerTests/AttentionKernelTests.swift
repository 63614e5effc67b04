import CKernels
import Foundation
import KernelsUnderTest
import Sparse
import TestSupport
import Testing

/// The attention kernels against double precision.
@Suite struct AttentionKernelTests {
    static let lengths = [1, 15, 16, 17, 31, 33, 127, 129, 300]
    static let headWidths = [2, 8, 16, 30, 64, 80, 128]
    static let types = [FLASH_CACHE_F32, FLASH_CACHE_F16, FLASH_CACHE_I8]
    /// Around every size of a block of queries, and the most.
    static let queryCounts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 25, 48, Int(FLASH_ATTENTION_QUERIES)]

    /// An int8 cache's queries and weights have 15 bits and a sign: a fortieth of what the cache itself loses.
    private static func tolerance(_ type: flash_cache_type) -> Double { type == FLASH_CACHE_I8 ? 2e-4 : 3e-6 }

    /// Softmax attention written down once more, over plain arrays.
    private static func naive(_ cache: AttentionCache, head: Int, scale: Double, query: [Float], length: Int)
        -> [Double]
    {
        let scores = (0..<length).map { token in
            scale * zip(query, cache.key(token, head)).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        }
        let largest = scores.max()!
        let weights = scores.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        return (0..<cache.width).map { place in
            (0..<length).reduce(0.0) { $0 + weights[$1] / total * Double(cache.value($1, head)[place]) }
        }
    }

    @Test(arguments: lengths, types) func referenceMatchesTheFormula(length: Int, type: flash_cache_type) {
        for width in [2, 30, 80] {
            let cache = AttentionCache(tokens: length, heads: 2, width: width, type: type, seed: 1)
            for head in 0..<2 {
                let query = randomValues(width, seed: 2)
                let expected = Self.naive(cache, head: head, scale: 0.3, query: query, length: length)
                let found = cache.reference(head: head, scale: 0.3, query: query, length: length)
                for (x, y) in zip(found, expected) {
                    let error = abs(Double(x) - y)
                    #expect(error <= 1e-6 * max(1, abs(y)))
                }
            }
        }
    }

    /// Queries and what the reference says of them: a few of both, again and again.
    private struct Case {
        let scale: Float
        let queries: [[Float]]
        let lengths: [Int]
        let expected: [[Double]]

        init(_ cache: AttentionCache, head: Int, length: Int) {
            scale = 1 / Float(cache.width).squareRoot()
            let scale = scale
            let count = Int(FLASH_ATTENTION_QUERIES)
            // Neighbouring lengths, as in a prompt, and the shortest beside the longest.
            let someLengths = [length, max(length - 1, 1), max(length - 17, 1), 1]
            let some = (0..<3).map { randomValues(cache.width, seed: UInt64($0)) }
            let results = some.map { query in
                someLengths.map {
                    cache.reference(head: head, scale: scale, query: query, length: $0).map(Double.init)
                }
            }
            queries = (0..<count).map { some[$0 % 3] }
            lengths = (0..<count).map { someLengths[$0 % 4] }
            expected = (0..<count).map { results[$0 % 3][$0 % 4] }
        }
    }

    /// Slots that no token fills are NaN: nothing of them may come through.
    @Test(arguments: lengths, types) func matchesTheReference(length: Int, type: flash_cache_type) {
        for width in Self.headWidths {
            let cache = AttentionCache(tokens: length, heads: 3, width: width, type: type, seed: 3)
            cache.cap = length % 3 == 0 ? 1.5 : 0
            for head in [0, 2] {
                let sample = Case(cache, head: head, length: length)
                for kernels in Kernels.underTest {
                    for count in Self.queryCounts {
                        let found = cache.attend(
                            kernels, head: head, scale: sample.scale, queries: Array(sample.queries[..<count]),
                            lengths: Array(sample.lengths[..<count]))
                        let error = largestDifference(found, Array(sample.expected[..<count]))
                        #expect(
                            error <= Self.tolerance(type),
                            "\(kernels.instructionSet), width \(width), \(count) queries")
                    }
                }
            }
        }
    }

    /// However a context is cut, also where a query sees nothing of a part.
    @Test(arguments: [17, 300], types) func joinsParts(length: Int, type: flash_cache_type) {
        for width in [2, 30, 64, 80] {
            let cache = AttentionCache(tokens: length, heads: 2, width: width, type: type, seed: 12)
            let sample = Case(cache, head: 1, length: length)
            for ends in [[length], [16, length], [16, 32, 160, 288, length]] {
                if ends.count > 2 && length < 300 { continue }
                for kernels in Kernels.underTest {
                    for count in [1, 3, 4, 13] {
                        let found = cache.attendInParts(
                            kernels, head: 1, scale: sample.scale, queries: Array(sample.queries[..<count]),
                            lengths: Array(sample.lengths[..<count]), ends: ends)
                        let error = largestDifference(found, Array(sample.expected[..<count]))
                        #expect(
                            error <= Self.tolerance(type), "\(kernels.instructionSet), width \(width), parts \(ends)")
                    }
                }
            }
        }
    }

    /// A query sees its window and nothing before it, whole or in parts, some of which a query sees nothing of.
    @Test(arguments: [1, 16, 17, 40, 129, 300], types) func seesAWindowOnly(length: Int, type: flash_cache_type) {
        for width in [8, 30] {
            let cache = AttentionCache(tokens: length, heads: 2, width: width, type: type, seed: 14)
            for window in [1, 2, 15, 16, 17, 100] {
                let lengths = (0..<13).map { max(length - $0 * 3, 1) }
                let starts = lengths.map { max($0 - window, 0) }
                let queries = lengths.indices.map { randomValues(width, seed: UInt64($0)) }
                let expected = lengths.indices.map { query in
                    cache.reference(
                        head: 1, scale: 0.3, query: queries[query], start: starts[query], length: lengths[query]
                    ).map(Double.init)
                }
                let ends = stride(from: 128, to: length, by: 128) + [length]
                for kernels in Kernels.underTest {
                    let whole = cache.attend(
                        kernels, head: 1, scale: 0.3, queries: queries, lengths: lengths, starts: starts)
                    let parts = cache.attendInParts(
                        kernels, head: 1, scale: 0.3, queries: queries, lengths: lengths, starts: starts, ends: ends)
                    for found in [whole, parts] {
                        let error = largestDifference(found, expected)
                        #expect(error <= Self.tolerance(type), "\(kernels.instructionSet), \(width), \(window)")
                    }
                }
            }
        }
    }

    /// The weight of one token is all of it, and scores far beyond the range of exp do no harm.
    @Test func standsLargeScores() {
        for scale: Float in [1e4, -1e4, 0] {
            let cache = AttentionCache(tokens: 40, heads: 1, width: 16, type: FLASH_CACHE_F32, seed: 4)
            let query = randomValues(16, seed: 5)
            let expected = cache.reference(head: 0, scale: scale, query: query, length: 40)
            for kernels in Kernels.underTest {
                let found = cache.attend(kernels, head: 0, scale: scale, queries: [query], lengths: [40])
                #expect(largestDifference(found, [expected.map(Double.init)]) <= 1e-5, "\(kernels.instructionSet)")
            }
        }
    }

    /// Broken weights must show: NaN in a query is NaN in its output and in no other.
    @Test func passesNaNOn() {
        let cache = AttentionCache(tokens: 20, heads: 1, width: 8, type: FLASH_CACHE_F16, seed: 6)
        var broken = randomValues(8, seed: 7)
        broken[3] = .nan
        let whole = randomValues(8, seed: 8)
        for kernels in Kernels.underTest {
            let found = cache.attend(kernels, head: 0, scale: 1, queries: [broken, whole], lengths: [20, 20])
            #expect(found[0].allSatisfy { $0.isNaN })
            #expect(found[1].allSatisfy { $0.isFinite })
        }
    }

    @Test(arguments: types) func appendsToOneSlotOnly(type: flash_cache_type) {
        for width in Self.headWidths {
            let cache = AttentionCache(tokens: 1, heads: 3, width: width, type: type, seed: 9)
            for kernels in Kernels.underTest {
                let keys = randomValues(3 * width, seed: 10)
                let values = randomValues(3 * width, seed: 11)
                let before = cache.memory
                // Twice with other signs: every byte that is written changes at least once.
                cache.append(kernels, token: 5, keys: keys.map { -$0 }, values: values.map { -$0 })
                let middle = cache.memory
                cache.append(kernels, token: 5, keys: keys, values: values)
                let after = cache.memory
                let changed = before.indices.count { before[$0] != middle[$0] || middle[$0] != after[$0] }
                #expect(changed <= 2 * 3 * (width * type.byteCount + (type == FLASH_CACHE_I8 ? 4 : 0)))
                for head in 0..<3 {
                    let range = head * width..<(head + 1) * width
                    let scales = cache.scales(5, head)
                    #expect(cache.key(5, head) == keys[range].map { type.rounded($0, scale: scales.key) })
                    #expect(cache.value(5, head) == values[range].map { type.rounded($0, scale: scales.value) })
                    guard type == FLASH_CACHE_I8 else { continue }
                    #expect(scales.key == keys[range].map(abs).max()! / 127)
                    #expect(scales.value == values[range].map(abs).max()! / 127)
                }
                cache.restore(before)
            }
        }
    }

    /// Half a step at most: what int8 costs each element, and so each output.
    @Test(arguments: headWidths) func int8ErrsByHalfAStep(width: Int) {
        for kernels in Kernels.underTest {
            for magnitude: Float in [1e-30, 1e-3, 1, 1e30] {
                let cache = AttentionCache(tokens: 1, heads: 1, width: width, type: FLASH_CACHE_I8, seed: 20)
                let keys = randomValues(width, seed: 21).map { $0 * magnitude }
                let values = randomValues(width, seed: 22).map { $0 * magnitude }
                cache.append(kernels, token: 0, keys: keys, values: values)
                for (found, exact) in [(cache.key(0, 0), keys), (cache.value(0, 0), values)] {
                    let step = exact.map(abs).max()! / 127
                    for (x, y) in zip(found, exact) {
                        let error = abs(x - y)
                        #expect(error <= 0.5001 * step, "\(kernels.instructionSet), \(magnitude)")
                    }
                }
            }
        }
    }

    /// Zeros are zeros, and what is broken stays visible.
    @Test func int8KeepsZerosAndBrokenValues() {
        for kernels in Kernels.underTest {
            let cache = AttentionCache(tokens: 2, heads: 1, width: 9, type: FLASH_CACHE_I8, seed: 23)
            for small in [0, -0.0, .leastNonzeroMagnitude, 1e-36] as [Float] {
                let tiny = [Float](repeating: small, count: 9)
                cache.append(kernels, token: 1, keys: tiny, values: tiny)
                #expect(cache.key(1, 0) == [Float](repeating: 0, count: 9))
            }
            for broken in [Float.nan, .infinity, -.infinity] {
                for place in [0, 8] {
                    var values = randomValues(9, seed: 24)
                    cache.append(kernels, token: 1, keys: values, values: values)
                    values[place] = broken
                    cache.append(kernels, token: 1, keys: randomValues(9, seed: 25), values: values)
                    #expect(cache.value(1, 0).allSatisfy { $0.isNaN })
                    let query = randomValues(9, seed: 26)
                    let found = cache.attend(kernels, head: 0, scale: 1, queries: [query], lengths: [2])
                    #expect(found[0].allSatisfy { $0.isNaN })
                }
            }
        }
    }
}

func randomValues(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SplitMix64(seed: seed &* 0x1234_5678_9ABC_DEF1)
    return (0..<count).map { _ in Float.random(in: -2...2, using: &generator) }
}

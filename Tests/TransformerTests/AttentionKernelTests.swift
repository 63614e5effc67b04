import CKernels
import Foundation
import Sparse
import TestSupport
import Testing

/// The attention kernels against double precision.
@Suite struct AttentionKernelTests {
    static let lengths = [1, 15, 16, 17, 31, 33, 200]
    static let headWidths = [2, 8, 16, 30, 64, 80, 128]

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

    @Test(arguments: lengths, [FLASH_F32, FLASH_F16]) func referenceMatchesTheFormula(
        length: Int, element: flash_element
    ) {
        for width in [2, 30, 80] {
            let cache = AttentionCache(tokens: length, heads: 2, width: width, element: element, seed: 1)
            for head in 0..<2 {
                let query = randomValues(width, seed: 2)
                let expected = Self.naive(cache, head: head, scale: 0.3, query: query, length: length)
                let found = cache.reference(head: head, scale: 0.3, query: query, length: length)
                for (x, y) in zip(found, expected) { #expect(abs(Double(x) - y) <= 1e-6 * max(1, abs(y))) }
            }
        }
    }

    /// Slots that no token fills are NaN: nothing of them may come through.
    @Test(arguments: lengths, [FLASH_F32, FLASH_F16]) func matchesTheReference(length: Int, element: flash_element) {
        for width in Self.headWidths {
            let cache = AttentionCache(tokens: length, heads: 3, width: width, element: element, seed: 3)
            let scale = 1 / Float(width).squareRoot()
            let limit = Int(FLASH_ATTENTION_QUERIES)
            let queries = (0..<limit).map { randomValues(width, seed: UInt64($0)) }
            // A chunk of a prompt: neighbouring lengths; and the shortest beside the longest.
            for lengths in [(0..<limit).map { max(length - $0, 1) }, (0..<limit).map { $0 % 2 == 0 ? length : 1 }] {
                for head in [0, 2] {
                    let expected = (0..<limit).map {
                        cache.reference(head: head, scale: scale, query: queries[$0], length: lengths[$0])
                            .map(Double.init)
                    }
                    for kernels in availableKernels {
                        for count in 1...limit {
                            let found = cache.attend(
                                kernels, head: head, scale: scale, queries: Array(queries[..<count]),
                                lengths: Array(lengths[..<count]))
                            let error = largestDifference(found, Array(expected[..<count]))
                            #expect(error <= 3e-6, "\(kernels.instructionSet), width \(width), \(count) queries")
                        }
                    }
                }
            }
        }
    }

    /// The weight of one token is all of it, and scores far beyond the range of exp do no harm.
    @Test func standsLargeScores() {
        for scale: Float in [1e4, -1e4, 0] {
            let cache = AttentionCache(tokens: 40, heads: 1, width: 16, element: FLASH_F32, seed: 4)
            let query = randomValues(16, seed: 5)
            let expected = cache.reference(head: 0, scale: scale, query: query, length: 40)
            for kernels in availableKernels {
                let found = cache.attend(kernels, head: 0, scale: scale, queries: [query], lengths: [40])
                #expect(largestDifference(found, [expected.map(Double.init)]) <= 1e-5, "\(kernels.instructionSet)")
            }
        }
    }

    /// Broken weights must show: NaN in a query is NaN in its output and in no other.
    @Test func passesNaNOn() {
        let cache = AttentionCache(tokens: 20, heads: 1, width: 8, element: FLASH_F16, seed: 6)
        var broken = randomValues(8, seed: 7)
        broken[3] = .nan
        let whole = randomValues(8, seed: 8)
        for kernels in availableKernels {
            let found = cache.attend(kernels, head: 0, scale: 1, queries: [broken, whole], lengths: [20, 20])
            #expect(found[0].allSatisfy { $0.isNaN })
            #expect(found[1].allSatisfy { $0.isFinite })
        }
    }

    @Test(arguments: [FLASH_F32, FLASH_F16]) func appendsToOneSlotOnly(element: flash_element) {
        for width in Self.headWidths {
            let cache = AttentionCache(tokens: 1, heads: 3, width: width, element: element, seed: 9)
            for kernels in availableKernels {
                let keys = randomValues(3 * width, seed: 10)
                let values = randomValues(3 * width, seed: 11)
                let before = cache.memory
                cache.append(kernels, token: 5, keys: keys, values: values)
                let after = cache.memory
                let size = element.byteCount
                let changed = stride(from: 0, to: before.count, by: size).count { start in
                    before[start..<start + size] != after[start..<start + size]
                }
                #expect(changed == 2 * 3 * width)
                for head in 0..<3 {
                    let range = head * width..<(head + 1) * width
                    #expect(cache.key(5, head) == keys[range].map { element.rounded($0) })
                    #expect(cache.value(5, head) == values[range].map { element.rounded($0) })
                }
                cache.restore(before)
            }
        }
    }
}

func randomValues(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SplitMix64(seed: seed &* 0x1234_5678_9ABC_DEF1)
    return (0..<count).map { _ in Float.random(in: -2...2, using: &generator) }
}

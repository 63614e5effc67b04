import Foundation
import TestSupport
import Testing

@testable import Engine

@Suite struct NumericsTests {
    @Test func exponentialIsWithinItsErrorBound() {
        var worst = 0.0
        var argument: Float = 0
        while argument > -87 {
            let result = exponential(Lanes(repeating: argument))[3]
            let exact = exp(Double(argument))
            worst = max(worst, abs(Double(result) - exact) / exact)
            argument -= 0.000_917
        }
        #expect(!(worst > 2e-7), "worst relative error \(worst)")
    }

    @Test func exponentialHasExactEnds() {
        let results = exponential(Lanes(0, -0.0, -87, -87.01, -1e30, -.infinity, -.leastNonzeroMagnitude, -1e-8))
        #expect(results[0] == 1 && results[1] == 1 && results[6] == 1 && results[7] == 1)
        #expect(results[2] > 0 && results[2].isNormal)
        #expect(results[3] == 0 && results[4] == 0 && results[5] == 0)
    }

    /// Output for the state 1, 2, 3, 4, as published with the generator's reference implementation.
    @Test func generatorMatchesItsReference() {
        var random = Xoshiro256(state: (1, 2, 3, 4))
        let expected: [UInt64] = [
            41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386, 9_228_616_714_210_784_205,
        ]
        #expect((0..<5).map { _ in random.next() } == expected)
    }

    @Test func uniformStaysBelowOneAndIsCentred() {
        var random = Xoshiro256(seed: 7)
        var sum = 0.0
        for _ in 0..<10_000 {
            let number = random.uniform()
            #expect(number >= 0 && number < 1)
            sum += number
        }
        // Standard error of the mean: sqrt(1 / 12 / 10000) = 0.0029.
        #expect(!(abs(sum / 10_000 - 0.5) > 0.012))
    }

    @Test func keysOrderLikeLogits() {
        var random = SplitMix64(seed: 1)
        let special: [Float] = [0, -0.0, .infinity, -.infinity, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, 1, -1]
        for _ in 0..<4000 {
            func draw() -> Float {
                let number = Float(bitPattern: UInt32.random(in: 0 ... .max, using: &random))
                return number.isNaN || Bool.random(using: &random) ? special.randomElement(using: &random)! : number
            }
            let (left, right) = (draw(), draw())
            #expect((Cut.key(of: left) < Cut.key(of: right)) == (left < right), "\(left), \(right)")
            #expect((Cut.key(of: left) == Cut.key(of: right)) == (left == right), "\(left), \(right)")
            let keys = Cut.keys(of: Lanes(left, right, 0, 1, 2, 3, 4, 5))
            #expect(keys[0] == Cut.key(of: left) && keys[1] == Cut.key(of: right))
        }
    }
}

import CCUDA
import CUDAEmulator
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Conversions, float functions and matrix products of the emulator.
@Suite struct NumberTests {
    /// Every kind of float32 around every border of the 16-bit formats.
    private static let floats: [Float] = {
        var values: [Float] = [0, 1, 65504, 65519.996, 65520, 65536, 3.4e38, .infinity, .nan, 0x1p-14, 0x1p-24]
        values += [0x1p-25, 0x1.000002p-25, 0x1.8p-25, 0x1.8p-24, 0x1.ffcp-15, 0x1p-126, 0x1p-133, 0x1p-134, 0x1p-149]
        values += [1 + 0x1p-11, 1 + 0x1.8p-10, 1 + 0x1p-8, 1 + 0x1.8p-7, 0x1.fffp-15, 0x1.fefefep127, 0x1.ffp127]
        var generator = SplitMix64(seed: 1)
        values += (0..<3000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: generator.next())) }
        values += (0..<3000).map { _ in
            Float(
                sign: .plus, exponent: .random(in: -28...17, using: &generator),
                significand: .random(in: 1..<2, using: &generator))
        }
        return values + values.map { -$0 }
    }()

    /// To the nearest of all bfloat16, ties to even, by looking at both neighbours.
    private static func narrowedToBF16(_ value: Float) -> UInt16 {
        if value.isNaN { return 0x7FFF }
        let below = UInt16(value.bitPattern >> 16), above = below &+ 1
        if value.bitPattern & 0xFFFF == 0 { return below }
        func magnitude(_ bits: UInt16) -> Double {
            bits & 0x7FFF == 0x7F80 ? 0x1p128 : abs(Double(Float(bitPattern: UInt32(bits) << 16)))
        }
        let down = abs(Double(value)) - magnitude(below), up = magnitude(above) - abs(Double(value))
        return down < up || (down == up && below % 2 == 0) ? below : above
    }

    @Test func conversionsRoundToTheNearest() throws {
        let a = Self.floats.map(\.bitPattern), b = Array(a.reversed()), count = a.count
        let output = try FunctionTests.run(
            "test_floats", a, b, a, outputWords: 8 * count, count: count,
            grid: (UInt32((count + 255) / 256), 1), threads: 256)
        for i in 0..<count {
            let pair = [Float(bitPattern: a[i]), Float(bitPattern: b[i])]
            let f16 = pair.map { $0.isNaN ? 0x7FFF : UInt32(Float16($0).bitPattern) }
            let bf16 = pair.map { UInt32(Self.narrowedToBF16($0)) }
            #expect(output[i] == f16[0] | f16[1] << 16, "f16 of \(pair)")
            #expect(output[count + i] == bf16[0] | bf16[1] << 16, "bf16 of \(pair)")
            let larger = pair[0].isNaN ? pair[1] : pair[1].isNaN ? pair[0] : max(pair[0], pair[1])
            let found = Float(bitPattern: output[7 * count + i])
            #expect(larger.isNaN ? found.isNaN : found == larger, "the larger of \(pair)")
        }
    }

    @Test func wideningIsExactForEveryNumber() throws {
        let words = (0..<65536).map { UInt32($0) }
        let output = try FunctionTests.run(
            "test_floats", words, words, words, outputWords: 8 * 65536, count: 65536, grid: (256, 1), threads: 256)
        var wrong: [Int] = []
        for i in 0..<65536 {
            let expected = Float(Float16(bitPattern: UInt16(i))), actual = Float(bitPattern: output[2 * 65536 + i])
            let isRight = expected.isNaN ? actual.isNaN : expected.bitPattern == actual.bitPattern
            if !isRight || output[3 * 65536 + i] != UInt32(i) << 16 { wrong.append(i) }
        }
        #expect(wrong.isEmpty)
    }

    @Test func floatFunctionsAreCloseToExact() throws {
        var generator = SplitMix64(seed: 2)
        let values = (0..<1000).map { _ in Float.random(in: -130...130, using: &generator) } + [0, -200, 200, 0x1p-130]
        let a = values.map(\.bitPattern), count = a.count
        let output = try FunctionTests.run(
            "test_floats", a, a, a, outputWords: 8 * count, count: count, grid: (4, 1), threads: 256)
        for (i, value) in values.enumerated() {
            let fused = Float(bitPattern: output[4 * count + i]), power = Float(bitPattern: output[5 * count + i])
            let root = Float(bitPattern: output[6 * count + i])
            #expect(fused == value.addingProduct(value, value))
            // Results below the normal range are zero.
            let exact = exp2(Double(value))
            let isClose = abs(Double(power) - exact) <= exact * 0x1p-22
            #expect(exact < 0x1p-126 ? power == 0 : exact >= 0x1p128 ? power == .infinity : isClose)
            if value > 0 { #expect(abs(Double(root) * Double(value).squareRoot() - 1) <= 0x1p-22) }
        }
    }

    /// Elements of every kind: what is exact in double precision shows any mistake of place, type or rounding.
    private static func elements(_ count: Int, choice: Int, seed: UInt64) -> [(bits: UInt16, value: Double)] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in
            let value = Float(
                sign: Bool.random(using: &generator) ? .plus : .minus,
                exponent: .random(in: -6...6, using: &generator), significand: .random(in: 1..<2, using: &generator))
            if choice == 0 { return (Float16(value).bitPattern, Double(Float16(value))) }
            let bits = narrowedToBF16(value)
            return (bits, Double(Float(bitPattern: UInt32(bits) << 16)))
        }
    }

    private static func words(_ elements: [(bits: UInt16, value: Double)]) -> [UInt32] {
        stride(from: 0, to: elements.count, by: 2).map {
            UInt32(elements[$0].bits) | UInt32(elements[$0 + 1].bits) << 16
        }
    }

    @Test(arguments: [0, 1], [0, 3]) func productsOfFragmentsAreRoundedOnce(choice: Int, seed: UInt64) throws {
        let a = Self.elements(256, choice: choice, seed: 3), b = Self.elements(128, choice: choice, seed: 4)
        let sums = Self.elements(128, choice: 0, seed: 5).map { Float($0.value) }
        let output = try FunctionTests.run(
            "test_multiply", Self.words(a), Self.words(b), sums.map(\.bitPattern), outputWords: 128, choice: choice,
            seed: seed)
        for row in 0..<16 {
            for column in 0..<8 {
                // The sum of 16 such products is exact in double precision.
                let product = (0..<16).reduce(0.0) { $0 + a[row * 16 + $1].value * b[column * 16 + $1].value }
                let expected = Float(Double(sums[row * 8 + column]) + product)
                #expect(Float(bitPattern: output[row * 8 + column]) == expected, "row \(row), column \(column)")
            }
        }
    }

    @Test func productsKeepSubnormalsInfinityAndNaN() throws {
        // Row 0 of a times column 0 of b: 2^-24 * 1; row 1: infinity; row 2: NaN; row 3: infinity * 0.
        var a = [UInt16](repeating: 0, count: 256), b = [UInt16](repeating: 0, count: 128)
        (a[0], a[16], a[32], a[48], a[49]) = (1, 0x7C00, 0x7E00, 0, 0x7C00)
        b[0] = 0x3C00
        func words(_ elements: [UInt16]) -> [UInt32] {
            stride(from: 0, to: elements.count, by: 2).map { UInt32(elements[$0]) | UInt32(elements[$0 + 1]) << 16 }
        }
        let output = try FunctionTests.run(
            "test_multiply", words(a), words(b), [UInt32](repeating: 0, count: 128), outputWords: 128
        ).map { Float(bitPattern: $0) }
        #expect(output[0] == 0x1p-24)
        #expect(output[8] == .infinity)
        #expect(output[16].isNaN)
        #expect(output[24].isNaN)
    }
}

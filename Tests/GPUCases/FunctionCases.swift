import TestSupport

extension FunctionCase {
    /// Every kernel of functions.cu that is about results (the others count conflicts of banks, which only the emulator
    /// does).
    public static let all: [FunctionCase] =
        [places, shuffles, bits, floats, halves, sharedTypes, lastBlock] + copies + matrixLoads + products

    private static func randomWords(_ count: Int, seed: UInt64) -> [UInt32] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in UInt32(truncatingIfNeeded: generator.next()) }
    }

    private static let places = FunctionCase(
        name: "places of threads", kernel: "test_places", outputWords: 8 * 6 * 96, grid: 6, threads: 96)

    private static let shuffles = FunctionCase(
        name: "shuffles", kernel: "test_shuffles", a: randomWords(32, seed: 1),
        b: randomWords(32, seed: 2).map { $0 % 32 }, outputWords: 288)

    private static let bits = FunctionCase(
        name: "bits", kernel: "test_bits", a: randomWords(300, seed: 1), b: randomWords(300, seed: 2),
        c: (0..<300).map { $0 < 71 ? UInt32($0) : randomWords(300, seed: 3)[$0] }, outputWords: 1200, count: 300,
        grid: 2, threads: 256)

    /// Every kind of float32 around every border of the 16-bit formats, and random ones.
    private static let floatValues: [UInt32] = {
        var values: [Float] = [0, 1, 65504, 65519.996, 65520, 65536, 3.4e38, .infinity, .nan, 0x1p-14, 0x1p-24]
        values += [0x1p-25, 0x1.000002p-25, 0x1.8p-25, 0x1.8p-24, 0x1.ffcp-15, 0x1p-126, 0x1p-133, 0x1p-149]
        values += [1 + 0x1p-11, 1 + 0x1.8p-10, 1 + 0x1p-8, 1 + 0x1.8p-7, 0x1.fffp-15, 0x1.fefefep127, 0x1.ffp127]
        var generator = SplitMix64(seed: 1)
        values += (0..<3000).map { _ in
            Float(
                sign: .plus, exponent: .random(in: -28...17, using: &generator),
                significand: .random(in: 1..<2, using: &generator))
        }
        return (values + values.map { -$0 }).map(\.bitPattern) + randomWords(3000, seed: 4)
    }()

    private static let floats: FunctionCase = {
        let (values, count) = (floatValues, floatValues.count)
        return FunctionCase(
            name: "floats", kernel: "test_floats", a: values, b: values.reversed(), c: randomWords(count, seed: 5),
            outputWords: 8 * count, count: count, grid: (count + 255) / 256, threads: 256,
            comparisons: [
                (count, .halves(exponentMask: 0x7C00)), (count, .halves(exponentMask: 0x7F80)), (2 * count, .float),
                (count, .float), (count, .approximate(0x1p-21)), (count, .approximate(0x1p-21)), (count, .float),
            ])
    }()

    /// All 65,536 numbers of both formats, widened.
    private static let halves: FunctionCase = {
        let words = (0..<65536).map { UInt32($0) }
        return FunctionCase(
            name: "widening", kernel: "test_floats", a: words, b: words, c: words, outputWords: 8 * 65536,
            count: 65536, grid: 256, threads: 256,
            comparisons: [
                (2 * 65536, .exact), (2 * 65536, .float), (65536, .float), (2 * 65536, .approximate(0x1p-21)),
                (65536, .float),
            ])
    }()

    private static let sharedTypes = FunctionCase(
        name: "shared memory", kernel: "test_shared_types", a: randomWords(256, seed: 4), outputWords: 256, threads: 64)

    private static let copies = [0, 1, 33, 64].map {
        FunctionCase(
            name: "copies of \($0)", kernel: "test_copies", a: randomWords(256, seed: 5), outputWords: 256, count: $0,
            threads: 64)
    }

    private static let lastBlock = FunctionCase(
        name: "last block", kernel: "test_last_block", a: randomWords(64 * 100, seed: 6), outputWords: 101, grid: 100,
        threads: 64)

    private static let matrixLoads = (0..<3).map {
        FunctionCase(
            name: "matrix loads, way \($0)", kernel: "test_load_matrices",
            a: (0..<128).map { 2 * $0 | (2 * $0 + 1) << 16 }, outputWords: 128, choice: $0)
    }

    /// Elements of 2^-6 to 2^7 with all bits of their type: a sum of 16 products is below 2^18.
    private static let products = [0, 1].map { choice in
        func words(_ count: Int, seed: UInt64) -> [UInt32] {
            var generator = SplitMix64(seed: seed)
            func element() -> UInt32 {
                let value = Float(
                    sign: Bool.random(using: &generator) ? .plus : .minus,
                    exponent: .random(in: -6...6, using: &generator),
                    significand: .random(in: 1..<2, using: &generator))
                return choice == 0 ? UInt32(Float16(value).bitPattern) : value.bitPattern >> 16
            }
            return (0..<count).map { _ in element() | element() << 16 }
        }
        var generator = SplitMix64(seed: 9)
        let sums = (0..<128).map { _ in Float.random(in: -1000...1000, using: &generator).bitPattern }
        return FunctionCase(
            name: choice == 0 ? "products of f16" : "products of bf16", kernel: "test_multiply",
            a: words(128, seed: 3), b: words(64, seed: 4), c: sums, outputWords: 128, choice: choice,
            comparisons: [(128, .sum(0x1p-4))])
    }
}

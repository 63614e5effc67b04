import CKernels
import TestSupport
import Testing

/// The nearest bfloat16, ties to even, found in double precision among the two neighbours of the truncated value.
func nearestBF16(_ value: Float) -> UInt16 {
    let below = UInt16(value.bitPattern >> 16)
    if value.isNaN { return below | 0x40 }
    if value.isInfinite { return below }
    func magnitude(_ bits: UInt16) -> Double {
        // The bit pattern after the largest finite one stands for 2^128 here, as rounding sees it.
        let finite = bits & 0x7FFF
        return finite == 0x7F80 ? 0x1p128 : Double(Float(bitPattern: UInt32(finite) << 16))
    }
    let down = Double(value.magnitude) - magnitude(below)
    let up = magnitude(below + 1) - Double(value.magnitude)
    return down < up || (down == up && below % 2 == 0) ? below : below + 1
}

@Suite struct HalfPrecisionTests {
    private static let edges: [UInt32] = {
        var bits: [UInt32] = []
        // Around every exponent's first and last value, ties of both narrow types, and the ends of the ranges.
        for exponent in UInt32(0)...255 {
            for fraction in [0, 1, 0xFFF, 0x1000, 0x1001, 0x2FFF, 0x3000, 0x7FFF, 0x8000, 0x8001, 0x7FFFFF] as [UInt32]
            {
                bits.append(exponent << 23 | fraction)
                bits.append(1 << 31 | exponent << 23 | fraction)
            }
        }
        return bits
    }()

    private static var samples: [UInt32] {
        var generator = SplitMix64(seed: 11)
        return edges + (0..<200_000).map { _ in .random(in: 0 ... .max, using: &generator) }
    }

    @Test func widensEveryHalf() {
        let halves = Array(UInt16.min...UInt16.max)
        var output = [Float](repeating: 0, count: halves.count)
        convert_f16_f32(halves, Int64(halves.count), &output)
        for (half, value) in zip(halves, output) {
            let expected = Float(Float16(bitPattern: half))
            #expect(value.bitPattern == expected.bitPattern || (value.isNaN && expected.isNaN))
        }
    }

    @Test func widensEveryBF16() {
        let halves = Array(UInt16.min...UInt16.max)
        var output = [Float](repeating: 0, count: halves.count)
        convert_bf16_f32(halves, Int64(halves.count), &output)
        for (half, value) in zip(halves, output) {
            let expected = Float(bitPattern: UInt32(half) << 16)
            #expect(value.bitPattern == expected.bitPattern || (value.isNaN && expected.isNaN))
        }
    }

    @Test func narrowsToTheNearestHalf() {
        let samples = Self.samples
        var output = [UInt16](repeating: 0, count: samples.count)
        convert_f32_f16(samples, Int64(samples.count), &output)
        for (bits, half) in zip(samples, output) {
            let value = Float(bitPattern: bits)
            if value.isNaN {
                #expect(Float16(bitPattern: half).isNaN)
            } else {
                #expect(half == Float16(value).bitPattern, "\(value)")
            }
        }
    }

    @Test func narrowsToTheNearestBF16() {
        let samples = Self.samples
        var output = [UInt16](repeating: 0, count: samples.count)
        convert_f32_bf16(samples, Int64(samples.count), &output)
        for (bits, half) in zip(samples, output) {
            let value = Float(bitPattern: bits)
            if value.isNaN {
                #expect(half & 0x7FFF > 0x7F80)
            } else {
                #expect(half == nearestBF16(value), "\(value)")
            }
        }
    }
}

import CUDA
import Tensors
import TestSupport

/// Random tensors, and 16-bit numbers in both types.
enum Numbers {
    static func floats(_ count: Int, in range: ClosedRange<Float> = -1...1, seed: UInt64) -> [Float] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in Float.random(in: range, using: &generator) }
    }

    static func bits(_ value: Float, _ type: ElementType) -> UInt16 {
        type == .f16 ? Float16(value).bitPattern : UInt16(value.bitPattern >> 16)
    }

    static func value(_ bits: UInt16, _ type: ElementType) -> Double {
        type == .f16 ? Double(Float16(bitPattern: bits)) : Double(Float(bitPattern: UInt32(bits) << 16))
    }

    /// Half a unit in the last place, of numbers around 1.
    static func rounding(_ type: ElementType) -> Double { type == .f16 ? 0x1p-11 : 0x1p-8 }

    /// The largest of `abs(found - expected) / allowed`; NaN where one is NaN or the numbers of elements differ.
    static func largestError(
        _ found: [Double], _ expected: [Double], allowed: (_ index: Int, _ expected: Double) -> Double
    ) -> Double {
        guard found.count == expected.count else { return .nan }
        var largest = 0.0
        for (index, (x, y)) in zip(found, expected).enumerated() {
            let error = abs(x - y) / allowed(index, y)
            if !(error <= largest) { largest = error }
        }
        return largest
    }
}

extension DeviceBuffer {
    /// Memory of `count` elements, every byte 0xFF: floats of it are NaN.
    static func poisoned<Element>(
        _ type: Element.Type, count: Int, on stream: CUDA.Stream
    ) throws -> DeviceBuffer {
        let buffer = try DeviceBuffer(byteCount: count * MemoryLayout<Element>.stride, in: stream.context)
        try buffer.enqueueFill(0xFF, on: stream)
        return buffer
    }
}

import CKernels
import Tensors

/// GGUF's Q8_0: blocks of 32 weights, a scale as f16 and 32 integers of 8 bits.
///
/// The scale is a 127th of the largest magnitude, and integers are rounded by the scale before it is cut to f16, half
/// away from zero.
/// Source: `quantize_row_q8_0_ref` in ggml's `ggml-quants.c`.
enum Q8Blocks {
    static let elementCount = 32
    static let byteCount = 34

    /// - Parameter floats: float32 weights, whole blocks.
    static func encoded(_ floats: Storage<UInt8>) -> Storage<UInt8> {
        let blockCount = floats.count / (4 * elementCount)
        precondition(floats.count == blockCount * 4 * elementCount, "\(floats.count) bytes are no whole blocks")
        let output = AlignedBuffer<UInt8>(uninitializedCount: blockCount * byteCount)
        withExtendedLifetime(floats) {
            let input = UnsafeRawPointer(floats.pointer)
            for block in 0..<blockCount {
                encode(
                    input + block * 4 * elementCount, to: UnsafeMutableRawPointer(output.pointer) + block * byteCount)
            }
        }
        return output.frozen()
    }

    private static func encode(_ input: UnsafeRawPointer, to output: UnsafeMutableRawPointer) {
        func weight(_ index: Int) -> Float { input.loadUnaligned(fromByteOffset: 4 * index, as: Float.self) }
        var largest: Float = 0
        for index in 0..<elementCount { largest = max(largest, abs(weight(index))) }
        let scale = largest / 127
        let inverse = scale == 0 ? 0 : 1 / scale
        output.storeBytes(of: flash_narrow_f16(scale).littleEndian, as: UInt16.self)
        for index in 0..<elementCount {
            let rounded = (weight(index) * inverse).rounded(.toNearestOrAwayFromZero)
            output.storeBytes(of: Int8(max(-127, min(127, rounded))), toByteOffset: 2 + index, as: Int8.self)
        }
    }
}

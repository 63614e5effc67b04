import CCUDA
import CUDA
import CUDAEmulator
import TestSupport

/// One launch of a kernel of functions.cu, which shows what functions of gpu.cuh give: on a GPU the same as on the
/// emulator, whose results the tests of the emulator compare with what PTX documents.
public struct FunctionCase: Sendable {
    public let name: String
    let kernel: String
    var a: [UInt32] = [0]
    var b: [UInt32] = [0]
    var c: [UInt32] = [0]
    let outputWords: Int
    var count = 0
    var choice = 0
    var grid = 1
    var threads = 32
    /// What of the output is compared how: the first words that are left.
    var comparisons: [(words: Int, comparison: Comparison)] = []

    /// How words of the output may differ.
    enum Comparison: Sendable {
        case exact
        /// Float32; not a number is the same whatever its bits.
        case float
        /// Float32 of an instruction that approximates: relative error.
        case approximate(Float)
        /// Sums of a tensor core, which drops bits below those of the largest summand: absolute error.
        case sum(Float)
        /// Two 16-bit floats; not a number is the same whatever its bits.
        case halves(exponentMask: UInt16)
    }

    /// The words of the output.
    public func result(on gpu: TestedGPU) throws -> [UInt32] {
        let kernel = try gpu.library.kernel(named: kernel, in: "functions.cu")
        let (a, b, c) = (
            try DeviceBuffer(a, on: gpu.stream), try DeviceBuffer(b, on: gpu.stream),
            try DeviceBuffer(c, on: gpu.stream)
        )
        let output = try DeviceBuffer([UInt32](repeating: 0, count: outputWords), on: gpu.stream)
        let parameters = flash_gpu_functions(
            a: a.address, b: b.address, c: c.address, output: output.address, count: UInt32(count),
            choice: UInt32(choice))
        try kernel.launch(
            grid: LaunchSize(grid), block: LaunchSize(threads), sharedBytes: 8192, parameters: parameters,
            on: gpu.stream)
        return try output.read(UInt32.self, count: outputWords, on: gpu.stream)
    }

    /// How many words differ by more than they may, and the first of them, in words.
    public func differences(_ found: [UInt32], from expected: [UInt32]) -> (count: Int, first: String?) {
        var parts = comparisons.isEmpty ? [(words: outputWords, comparison: Comparison.exact)] : comparisons
        var left = parts.removeFirst()
        var count = 0
        var first: String?
        for index in found.indices {
            while left.words == 0 { left = parts.removeFirst() }
            left.words -= 1
            if Self.isSame(found[index], expected[index], left.comparison) { continue }
            count += 1
            if first == nil {
                let (hex, other) = (String(found[index], radix: 16), String(expected[index], radix: 16))
                first = "\(name): word \(index) of the output is \(hex), the emulator's \(other)"
            }
        }
        return (count, first)
    }

    private static func isSame(_ found: UInt32, _ expected: UInt32, _ comparison: Comparison) -> Bool {
        if found == expected { return true }
        let (a, b) = (Float(bitPattern: found), Float(bitPattern: expected))
        switch comparison {
        case .exact: return false
        case .float: return a.isNaN && b.isNaN
        case .approximate(let limit): return a.isNaN && b.isNaN || a == b || abs(a - b) <= limit * abs(b)
        case .sum(let limit): return a.isNaN && b.isNaN || a == b || abs(a - b) <= limit
        case .halves(let mask):
            func isSameHalf(_ a: UInt16, _ b: UInt16) -> Bool {
                func isNaN(_ bits: UInt16) -> Bool { bits & mask == mask && bits & ~mask & 0x7FFF != 0 }
                return a == b || isNaN(a) && isNaN(b)
            }
            return isSameHalf(UInt16(truncatingIfNeeded: found), UInt16(truncatingIfNeeded: expected))
                && isSameHalf(UInt16(found >> 16), UInt16(expected >> 16))
        }
    }
}

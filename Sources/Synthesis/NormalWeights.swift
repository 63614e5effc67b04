import Checkpoints
import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Random weights of a normal distribution, optionally pruned by magnitude.
///
/// 16 random bits choose one of the distribution's 65,536 quantiles, which a table holds as 16-bit patterns: more
/// values than f16 or bf16 tell apart, the largest at 4.3 standard deviations. So drawing is one look-up, and pruning
/// needs no sorting: zeroing the smallest share of the quantiles is what magnitude pruning of an endless matrix does.
struct NormalWeights {
    static let quantileCount = 1 << 16

    /// 65,536 patterns of f16 or bf16 in the order of their values.
    private let patterns: [UInt16]

    /// - Parameters:
    ///   - sparsity: the share of weights that are zero, 0..<1; the smallest ones.
    ///   - type: f16 or bf16.
    init(standardDeviation: Double, sparsity: Double, type: WeightType) {
        precondition(type != .f32 && sparsity >= 0 && sparsity < 1)
        var values = Self.quantiles.map { Float($0 * standardDeviation) }
        let zeroCount = Int((sparsity * Double(Self.quantileCount)).rounded())
        let firstZero = (Self.quantileCount - zeroCount) / 2
        for index in firstZero..<firstZero + zeroCount { values[index] = 0 }
        patterns = [UInt16](unsafeUninitializedCapacity: Self.quantileCount) { output, count in
            let overflow = values.withUnsafeBufferPointer {
                type.narrow($0, into: UnsafeMutableRawBufferPointer(output))
            }
            precondition(overflow == nil, "a standard deviation of \(standardDeviation) overflows \(type)")
            count = Self.quantileCount
        }
    }

    /// Fills `elements`; the same `stream` gives the same elements, whatever the pool.
    ///
    /// Every thread begins where its elements are.
    /// - Complexity: O(elements), about a nanosecond each.
    func fill(_ elements: UnsafeMutableBufferPointer<UInt16>, stream: UInt64, pool: WorkerPool) {
        let chunkSize = 1 << 18
        let numbers = SplitMixStream(seed: stream)
        pool.forEachChunk((elements.count + chunkSize - 1) / chunkSize) { chunk, _ in
            patterns.withUnsafeBufferPointer { patterns in
                let end = min((chunk + 1) * chunkSize, elements.count)
                for first in stride(from: chunk * chunkSize, to: end, by: 4) {
                    var bits = numbers[UInt64(first / 4)]
                    for index in first..<min(first + 4, end) {
                        elements[index] = patterns[Int(bits & 0xFFFF)]
                        bits >>= 16
                    }
                }
            }
        }
    }

    /// The stream of a model's tensor.
    static func stream(seed: UInt64, tensor: Int) -> UInt64 {
        SplitMixStream(seed: SplitMixStream(seed: seed)[0])[UInt64(tensor)]
    }

    /// The quantiles of the standard normal distribution in the middle of each of 65,536 equal shares.
    ///
    /// Found by bisection, and rounded to 2^-30 so that libraries whose `erfc` differs in its last digit give the same
    /// bytes.
    private static let quantiles: [Double] = {
        var upper: [Double] = []
        var low = 0.0
        for index in 0..<quantileCount / 2 {
            // The share of values above: erfc(z / sqrt 2) / 2.
            let above = 0.5 - (Double(index) + 0.5) / Double(quantileCount)
            var high = low + 1
            var start = low
            for _ in 0..<52 {
                let middle = (start + high) / 2
                if erfc(middle / 2.0.squareRoot()) / 2 > above { start = middle } else { high = middle }
            }
            low = start
            upper.append((start * 0x1p30).rounded() * 0x1p-30)
        }
        return upper.reversed().map { -$0 } + upper
    }()
}

import Tensors
import TestSupport

/// A seeded matrix of finite f16 values, subnormals and both zeros among them. One number is drawn per element, in
/// row-major order, so that other programs can make the same one.
struct RandomMatrix: Sendable, CustomStringConvertible {
    var rows: Int
    var columns: Int
    var densityPercent: UInt64
    /// Nonzeros lie only in the first so many of the 32 banks.
    var bankCount = 32
    var seed: UInt64

    func elements() -> [UInt16] {
        var random = SplitMix64(seed: seed)
        var elements = [UInt16](repeating: 0, count: rows * columns)
        elements.withUnsafeMutableBufferPointer { elements in
            for row in 0..<rows {
                for column in 0..<columns {
                    let number = random.next()
                    let bank = ((column % 64) ^ ((row % 8) << 3)) / 2
                    let isKept = (number >> 40) % 100 < densityPercent && bank < bankCount
                    let zero: UInt16 = number & 0x1_0000 == 0 ? 0 : 0x8000
                    elements[row * columns + column] = isKept ? Self.finiteNonzero(number) : zero
                }
            }
        }
        return elements
    }

    private static func finiteNonzero(_ number: UInt64) -> UInt16 {
        let bits = UInt16(truncatingIfNeeded: number)
        if bits & 0x7C00 == 0x7C00 { return bits ^ 0x4000 }
        return bits & 0x7FFF == 0 ? 1 : bits
    }

    var description: String { "\(rows) x \(columns), \(densityPercent) % in \(bankCount) banks, seed \(seed)" }
}

extension Array<UInt16> {
    /// The elements with every -0.0 as 0.0, as the sparse formats keep them.
    var withoutNegativeZeros: [UInt16] { map { $0 == 0x8000 ? 0 : $0 } }
}

/// 64-bit FNV-1a over the little-endian bytes of `numbers`.
func hash<Number: FixedWidthInteger>(_ numbers: UnsafeBufferPointer<Number>) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for number in numbers {
        for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
            hash = (hash ^ UInt64(UInt8(truncatingIfNeeded: number >> Number(shift)))) &* 0x100_0000_01B3
        }
    }
    return hash
}

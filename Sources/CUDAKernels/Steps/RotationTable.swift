import CCUDA
public import CUDA

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Sines and cosines of the rotary embedding in a GPU's memory: those of the positions 0 to 255 and of every multiple
/// of 256, float32 `[256 + multiples, frequencies, 2]`. A kernel turns by both. Where long sequences rotate otherwise,
/// as much again for these.
public final class RotationTable: Sendable {
    public let positionCount: Int
    public let frequencyCount: Int
    let buffer: DeviceBuffer
    /// Where the rows of long sequences begin.
    let longRow: Int

    /// What positions of long sequences have added.
    public static let longSequence = Int32(FLASH_GPU_LONG_SEQUENCE)

    /// - Parameters:
    ///   - frequencies: radians per position of each pair of elements.
    ///   - long: those of long sequences; nil if they are the same.
    ///   - factor: what rotated elements are multiplied with besides.
    ///   - positionCount: positions 0 ..< this may be asked for.
    /// - Throws: `CUDAError`.
    public init(
        frequencies: [Double], long: [Double]? = nil, factor: Double = 1, positionCount: Int, on stream: Stream
    ) throws(CUDAError) {
        precondition((1...Int(Self.longSequence)).contains(positionCount))
        precondition(long.map { $0.count == frequencies.count } ?? true)
        self.positionCount = positionCount
        frequencyCount = frequencies.count
        let fine = Int(FLASH_GPU_FINE_ROTATIONS)
        let coarse = (positionCount + fine - 1) / fine
        // The factor belongs to one of the two tables.
        let positions = (0..<fine).map { ($0, factor) } + (0..<coarse).map { ($0 * fine, 1) }
        // In double precision: at position 100,000 a float32 angle is off by a hundredth of a turn.
        let table = [frequencies, long ?? []].flatMap { frequencies in
            positions.flatMap { position, factor in
                frequencies.flatMap { frequency -> [Float] in
                    let angle = Double(position) * frequency
                    return [Float(cos(angle) * factor), Float(sin(angle) * factor)]
                }
            }
        }
        longRow = long == nil ? 0 : positions.count
        buffer = try DeviceBuffer(table, on: stream)
    }
}

import CKernels
public import Tensors

/// The CRC-32C (Castagnoli) checksum, which processors compute at memory speed.
///
/// Source: RFC 3720, appendix B.4.
public struct CRC32C: Sendable, Equatable {
    /// The checksum of all bytes so far; 0 of none.
    public private(set) var checksum: UInt32 = 0

    public init() {}

    /// - Complexity: O(bytes), several gigabytes per second where the processor has CRC instructions.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let address = bytes.baseAddress else { return }
        checksum = crc32c_update(checksum, address, bytes.count)
    }

    public static func checksum(of bytes: Storage<UInt8>) -> UInt32 {
        var sum = CRC32C()
        sum.update(UnsafeRawBufferPointer(bytes.buffer))
        return sum.checksum
    }
}

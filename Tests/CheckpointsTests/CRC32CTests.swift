import CKernels
import Checkpoints
import Tensors
import TestSupport
import Testing

@Suite struct CRC32CTests {
    /// Source: RFC 3720, appendix B.4.
    @Test func agreesWithKnownChecksums() {
        #expect(CRC32C.checksum(of: Storage(Array("123456789".utf8))) == 0xE306_9283)
        #expect(CRC32C.checksum(of: Storage([UInt8](repeating: 0, count: 32))) == 0x8A91_36AA)
        #expect(CRC32C.checksum(of: Storage([UInt8](repeating: 0xFF, count: 32))) == 0x62A8_AB43)
        #expect(CRC32C.checksum(of: Storage((0..<32).map(UInt8.init))) == 0x46DD_794E)
        #expect(CRC32C.checksum(of: Storage([])) == 0)
    }

    @Test(arguments: [0, 1, 7, 8, 9, 63, 64, 65, 4096, 49_151, 49_152, 49_153, 100_003, 200_000])
    func agreesWithThePortableForm(count: Int) {
        var generator = SplitMix64(seed: UInt64(count))
        let bytes = (0..<count + 3).map { _ in UInt8.random(in: 0...255, using: &generator) }
        bytes.withUnsafeBytes { buffer in
            for shift in 0...3 {
                let start = buffer.baseAddress! + shift
                let seed = UInt32.random(in: 0 ... .max, using: &generator)
                #expect(crc32c_update(seed, start, count) == crc32c_update_portable(seed, start, count))
            }
        }
    }

    @Test func continuesWhereItStopped() {
        var generator = SplitMix64(seed: 5)
        let bytes = (0..<120_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let whole = CRC32C.checksum(of: Storage(bytes))
        for cut in [0, 1, 50_000, 119_999, 120_000] {
            var sum = CRC32C()
            bytes[..<cut].withUnsafeBytes { sum.update($0) }
            bytes[cut...].withUnsafeBytes { sum.update($0) }
            #expect(sum.checksum == whole)
        }
    }
}

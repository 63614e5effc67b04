import Tensors
import TestSupport
import Testing

@Suite struct StorageTests {
    @Test(arguments: [0, 1, 63, 64, 65, 1 << 21])
    func alignsBuffers(count: Int) {
        let buffer = AlignedBuffer<UInt16>(repeating: 7, count: count)
        #expect(buffer.count == count)
        #expect(UInt(bitPattern: buffer.pointer) % 64 == 0)
        #expect(buffer.frozen().allSatisfy { $0 == 7 })
    }

    @Test func slicesKeepTheirOwner() {
        let slice = Storage<UInt8>([1, 2, 3, 4, 5])[1..<4]
        #expect(Array(slice) == [2, 3, 4])
        #expect(slice[2] == 4)
    }

    @Test func reinterpretsOnlyWhatFits() {
        let bytes = Storage<UInt8>([1, 0, 2, 0, 3])
        #expect(bytes.reinterpreted(as: UInt16.self) == nil)
        #expect(bytes[1..<5].reinterpreted(as: UInt16.self) == nil)
        #expect(bytes[0..<4].reinterpreted(as: UInt16.self).map { Array($0) } == [1, 2])
    }

    @Test func pagesComeBackWhenTheyWereReleased() throws {
        let file = try MappedFile(path: #filePath)
        let first = Array(file.bytes)
        for range in [0..<0, 0..<1, -5..<10, 4095..<4097, 0..<file.byteCount, 10..<Int.max] {
            file.prefetch(range)
            #expect(file.reading([range, 5..<6], of: range) { file.bytes.elementsEqual(first) })
            file.release(range)
            #expect(file.bytes.elementsEqual(first))
        }
    }

    @Test func refusesAMissingFile() {
        #expect(throws: FileError.self) { try MappedFile(path: "/nonexistent/file") }
    }
}

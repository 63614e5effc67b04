import CUDA
import FakeCUDA
import Testing

extension FakeDriverTests {
    @Suite struct MemoryTests {
        @Test(arguments: [0, 1, 63, 64, 65, 1000]) func copiesThereAndBack(count: Int) throws {
            try FakeDriverTests.expectBalance {
                let gpu = try TestedGPU()
                let elements = (0..<count).map { Float($0) / 3 }
                let buffer = try DeviceBuffer(elements, on: gpu.stream)
                #expect(buffer.byteCount == 4 * count && buffer.address % 256 == 0)
                #expect(try buffer.read(Float.self, count: count, on: gpu.stream) == elements)
                let half = count / 2
                let second = try DeviceBuffer(byteCount: 4 * count, in: gpu.context)
                try second.enqueueFill(on: gpu.stream)
                try second.enqueueCopy(from: buffer, range: 4 * half..<4 * count, on: gpu.stream)
                #expect(
                    try second.read(Float.self, count: count, on: gpu.stream)
                        == elements[half...] + [Float](repeating: 0, count: half))
                try second.enqueueFill(0xFF, range: 0..<4 * half, on: gpu.stream)
                #expect(
                    try second.read(UInt32.self, count: half, on: gpu.stream) == Array(repeating: .max, count: half))
            }
        }

        @Test func refusesWhatReachesBeyondTheEnd() throws {
            let gpu = try TestedGPU()
            let buffer = try DeviceBuffer(byteCount: 16, in: gpu.context)
            let other = try DeviceBuffer(byteCount: 8, in: gpu.context)
            func refuses(_ operation: String, _ range: Range<Int>, of size: Int = 16, _ body: () throws -> Void) {
                #expect(throws: CUDAError.outOfBounds(operation: operation, range: range, byteCount: size)) {
                    try body()
                }
            }
            refuses("write", 4..<20) { try buffer.write([UInt32](repeating: 1, count: 4), at: 4, on: gpu.stream) }
            refuses("write", -4..<0) { try buffer.write([UInt32(1)], at: -4, on: gpu.stream) }
            refuses("read", 0..<20) { _ = try buffer.read(UInt32.self, count: 5, on: gpu.stream) }
            refuses("read", 8..<Int.max) { _ = try buffer.read(UInt32.self, count: .max, at: 8, on: gpu.stream) }
            refuses("fill", 16..<17) { try buffer.enqueueFill(range: 16..<17, on: gpu.stream) }
            refuses("read", 0..<9, of: 8) { try buffer.enqueueCopy(from: other, range: 0..<9, on: gpu.stream) }
            refuses("write", 9..<17) { try buffer.enqueueCopy(from: other, range: 0..<8, at: 9, on: gpu.stream) }
            try buffer.enqueueFill(range: 16..<16, on: gpu.stream)
            try buffer.enqueueCopy(from: other, range: 0..<8, at: 8, on: gpu.stream)
            #expect(
                CUDAError.outOfBounds(operation: "write", range: 4..<20, byteCount: 16).description
                    == "cannot write bytes 4 to 20 of a buffer of 16 bytes")
        }

        @Test func saysHowMuchIsFree() throws {
            let gpu = try TestedGPU()
            let error = #expect(throws: CUDAError.self) { try DeviceBuffer(byteCount: 1 << 40, in: gpu.context) }
            #expect(error == .outOfMemory(askedBytes: 1 << 40, freeBytes: 805_306_368, totalBytes: 1 << 30))
            #expect(
                error?.description == "the GPU's memory is full: asked for 1099511627776 bytes, "
                    + "805306368 of 1073741824 are free")
        }

        @Test func measuresTime() throws {
            let gpu = try TestedGPU()
            let start = try Event(in: gpu.context)
            let end = try Event(in: gpu.context)
            try start.record(on: gpu.stream)
            try end.record(on: gpu.stream)
            try end.synchronize()
            #expect(try end.milliseconds(since: start) == 1.5)
            let mark = try Event(timing: false, in: gpu.context)
            #expect(throws: CUDAError.self) { try mark.milliseconds(since: start) }
        }
    }
}

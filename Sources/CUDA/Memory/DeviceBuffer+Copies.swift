import CCUDA

/// What happens to a buffer in the order of a stream. Offsets and sizes are bytes; what reaches beyond the buffer's end
/// is refused before anything is called.
///
/// The `enqueue` functions return before the GPU is done. Memory of the host must stay until then; only from a
/// ``PinnedBuffer`` do copies run beside the program, others are copied through the driver's own memory first.
extension DeviceBuffer {
    /// Copies `bytes` of the host here, from `offset` on.
    /// - Throws: `outOfBounds`, `callFailed`.
    public func enqueueCopy(from bytes: UnsafeRawBufferPointer, at offset: Int = 0, on stream: Stream) throws(CUDAError)
    {
        try checkRange(offset, bytes.count, "write")
        guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
        try context.call("cuMemcpyHtoDAsync_v2") {
            $0.cuMemcpyHtoDAsync_v2!(address(at: offset), source, bytes.count, stream.handle)
        }
    }

    /// Copies as many bytes as `bytes` has, from `offset` on, to the host.
    /// - Throws: `outOfBounds`, `callFailed`.
    public func enqueueCopy(
        to bytes: UnsafeMutableRawBufferPointer, at offset: Int = 0, on stream: Stream
    ) throws(CUDAError) {
        try checkRange(offset, bytes.count, "read")
        guard let target = bytes.baseAddress, !bytes.isEmpty else { return }
        try context.call("cuMemcpyDtoHAsync_v2") {
            $0.cuMemcpyDtoHAsync_v2!(target, address(at: offset), bytes.count, stream.handle)
        }
    }

    /// Copies `range` of another buffer here, from `offset` on. The ranges must not overlap.
    /// - Throws: `outOfBounds`, `callFailed`.
    public func enqueueCopy(
        from source: DeviceBuffer, range: Range<Int>, at offset: Int = 0, on stream: Stream
    ) throws(CUDAError) {
        try source.checkRange(range.lowerBound, range.count, "read")
        try checkRange(offset, range.count, "write")
        guard !range.isEmpty else { return }
        try context.call("cuMemcpyDtoDAsync_v2") {
            $0.cuMemcpyDtoDAsync_v2!(
                address(at: offset), source.address(at: range.lowerBound), range.count, stream.handle)
        }
    }

    /// Sets every byte of `range` to `value`; without a range all.
    /// - Throws: `outOfBounds`, `callFailed`.
    public func enqueueFill(_ value: UInt8 = 0, range: Range<Int>? = nil, on stream: Stream) throws(CUDAError) {
        let range = range ?? 0..<byteCount
        try checkRange(range.lowerBound, range.count, "fill")
        guard !range.isEmpty else { return }
        try context.call("cuMemsetD8Async") {
            $0.cuMemsetD8Async!(address(at: range.lowerBound), value, range.count, stream.handle)
        }
    }

    /// Writes `elements`, the first one at byte `offset`. Returns when they are there.
    /// - Throws: `outOfBounds`, `callFailed`.
    public func write<Element: BitwiseCopyable>(
        _ elements: [Element], at offset: Int = 0, on stream: Stream
    ) throws(CUDAError) {
        let result = elements.withUnsafeBytes { bytes in
            Result { () throws(CUDAError) in
                try enqueueCopy(from: bytes, at: offset, on: stream)
                try stream.synchronize()
            }
        }
        try result.get()
    }

    /// Reads `count` elements, the first one at byte `offset`, after what the stream was given before.
    /// - Throws: `outOfBounds`, `callFailed`.
    public func read<Element: BitwiseCopyable>(
        _ type: Element.Type, count: Int, at offset: Int = 0, on stream: Stream
    ) throws(CUDAError) -> [Element] {
        // Before the array is made: a count out of a file may be any number.
        let (byteCount, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        try checkRange(offset, overflow ? .max : byteCount, "read")
        var result = Result<Void, CUDAError>.success(())
        let elements = [Element](unsafeUninitializedCapacity: count) { buffer, initialised in
            let bytes = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: byteCount)
            result = Result { () throws(CUDAError) in
                try enqueueCopy(to: bytes, at: offset, on: stream)
                try stream.synchronize()
            }
            if case .success = result { initialised = count }
        }
        try result.get()
        return elements
    }
}

import Tensors

// A pointer does not keep its memory alive: what owns it must outlive the copy.

extension Storage {
    var array: [Element] { withExtendedLifetime(self) { Array(buffer) } }
}

extension AlignedBuffer {
    var array: [Element] { withExtendedLifetime(self) { Array(elements) } }

    /// Lets `body` write to the buffer.
    func withBytes<Result, Failure>(
        _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeMutableRawBufferPointer(elements))
    }
}

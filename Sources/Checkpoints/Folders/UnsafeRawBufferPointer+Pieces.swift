extension UnsafeRawBufferPointer {
    /// Calls `body` with the bytes in their order, `byteCount` at once and the rest.
    func forEachPiece<Failure>(
        of byteCount: Int, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        var start = 0
        while start < count {
            let end = Swift.min(start + byteCount, count)
            try body(UnsafeRawBufferPointer(rebasing: self[start..<end]))
            start = end
        }
    }
}

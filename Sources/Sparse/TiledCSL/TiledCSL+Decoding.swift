extension TiledCSL {
    /// The matrix in dense form, `[rows, columns]` row-major, bit for bit what was encoded but for -0.0, which is 0.0.
    /// - Complexity: O(rows x columns).
    public func dense() -> [UInt16] {
        [UInt16](unsafeUninitializedCapacity: shape.elementCount) { buffer, count in
            let elements = UnsafeMutableBufferPointer(rebasing: buffer[..<shape.elementCount])
            elements.initialize(repeating: 0)
            for tileRow in 0..<tileRowCount { scatter(tileRow: tileRow, into: elements) }
            count = shape.elementCount
        }
    }

    /// Writes the rows of one tile row into a dense matrix. Different tile rows may be decoded at the same time.
    /// - Parameters:
    ///   - tileRow: `0..<tileRowCount`; covers rows `128 * tileRow ..< min(128 * tileRow + 128, rows)`.
    ///   - elements: `[rows, columns]`, row-major; every element of those rows is overwritten, the others are left
    ///     alone.
    public func decode(tileRow: Int, into elements: UnsafeMutableBufferPointer<UInt16>) {
        precondition(elements.count == shape.elementCount)
        let rowRange = shape.rowRange(ofTileRow: tileRow)
        elements[rowRange.lowerBound * columns..<rowRange.upperBound * columns].update(repeating: 0)
        scatter(tileRow: tileRow, into: elements)
    }

    /// Stores the nonzeros of one tile row. Skips, rather than stores outside, what an altered file may hold in a
    /// matrix whose words were not checked.
    private func scatter(tileRow: Int, into elements: UnsafeMutableBufferPointer<UInt16>) {
        let rowRange = shape.rowRange(ofTileRow: tileRow)
        for tileColumn in 0..<tileColumnCount {
            let columnRange = shape.columnRange(ofTileColumn: tileColumn)
            let corner = elements.baseAddress! + rowRange.lowerBound * columns + columnRange.lowerBound
            for index in wordRange(tileRow: tileRow, tileColumn: tileColumn) {
                let entry = Entry(bits: words.pointer[index])
                guard !entry.isZero, entry.row < rowRange.count, entry.column < columnRange.count else { continue }
                corner[entry.row &* columns &+ entry.column] = entry.value
            }
        }
    }
}

public import Tensors

extension QuantizedMatrix {
    /// A matrix over arrays from outside, such as a mapped file.
    ///
    /// Checks what can be checked without reading the weights: counts and panel offsets. Before the first product
    /// ``checkInvariants()`` must have passed, or a damaged mask could lead a kernel outside `values`.
    /// - Throws: `SparseError.brokenInvariant`.
    /// - Complexity: O(rows).
    public init(
        rows: Int, columns: Int, coding: QuantizedCoding, group: ScaleGroup, masks: Storage<UInt8>?,
        values: Storage<UInt8>, panelOffsets: Storage<UInt64>, scales: Storage<UInt16>
    ) throws(SparseError) {
        func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(SparseError) {
            if !condition { throw .brokenInvariant(reason()) }
        }
        let sides = 1...Int(Int32.max)
        guard sides.contains(rows), sides.contains(columns) else { throw .invalidShape(rows: rows, columns: columns) }
        // Both sides have 31 bits, so that no product of a side and a few small factors overflows.
        let shape = Shape(rows: rows, columns: columns, coding: coding, group: group)
        if let masks {
            let expected = shape.panels * shape.chunks * coding.maskByteCount
            try require(masks.count == expected, "\(masks.count) bytes of masks, expected \(expected)")
            try require(
                UInt(bitPattern: masks.pointer) % UInt(coding.maskByteCount) == 0, "masks at an odd address")
        }
        let scaleCount = shape.panels * shape.groups * Self.panelRows
        try require(scales.count == scaleCount, "\(scales.count) scales, expected \(scaleCount)")
        try require(
            panelOffsets.count == shape.panels + 1,
            "\(panelOffsets.count) panel offsets, expected \(shape.panels + 1)")
        try require(
            values.count >= Self.valuePadding, "\(values.count) bytes of values leave no room for the padding")
        let stored = UInt64(values.count - Self.valuePadding)
        let offsets = panelOffsets.buffer
        try require(offsets[0] == 0, "the first panel begins at byte \(offsets[0]), expected 0")
        let panelByteCount = UInt64(shape.densePanelByteCount)
        for panel in 0..<shape.panels {
            let (start, end) = (offsets[panel], offsets[panel + 1])
            try require(start <= end, "panel \(panel) ends before it begins")
            try require(end <= stored, "panel \(panel) ends at byte \(end) of \(stored)")
            try require(
                masks != nil || end - start == panelByteCount,
                "panel \(panel) has \(end - start) bytes, expected \(panelByteCount)")
        }
        try require(
            offsets[shape.panels] == stored,
            "the last panel ends at byte \(offsets[shape.panels]), expected \(stored)")
        self.init(unchecked: shape, masks: masks, values: values, panelOffsets: panelOffsets, scales: scales)
    }

    /// Checks every invariant of the type's description against the arrays themselves.
    /// - Throws: `SparseError.brokenInvariant`.
    /// - Complexity: O(masks + stored values).
    public func checkInvariants() throws(SparseError) {
        if let index = scales.buffer.firstIndex(where: { $0 & 0x7F80 == 0x7F80 }) {
            throw .brokenInvariant("scale \(index) is NaN or infinite")
        }
        for index in values.count - Self.valuePadding..<values.count where values.pointer[index] != 0 {
            throw .brokenInvariant("byte \(index) of the padding behind the values is not zero")
        }
        for panel in 0..<shape.panels {
            let start = Int(panelOffsets.pointer[panel])
            let end = Int(panelOffsets.pointer[panel + 1])
            let bytes = UnsafeBufferPointer(start: values.pointer + start, count: end - start)
            if let masks {
                let panelMasks = UnsafeRawPointer(masks.pointer) + panel * shape.chunks * coding.maskByteCount
                let (even, odd) = try countStored(panelMasks, panel: panel)
                let expected = shape.panelByteCount(even: even, odd: odd)
                guard expected == bytes.count else {
                    throw .brokenInvariant(
                        "the masks of panel \(panel) name \(expected) bytes of values, expected \(bytes.count)")
                }
                try checkStored(bytes, panel: panel, even: even, odd: odd)
            } else {
                try checkDense(bytes, panel: panel)
            }
        }
    }

    /// The bits of a chunk's mask that are elements of the matrix.
    private func presentBits(panel: Int, chunk: Int) -> UInt64 {
        let width = coding.chunkColumns
        let rowCount = min(Self.panelRows, rows - panel * Self.panelRows)
        let columnCount = min(width, columns - chunk * width)
        let row: UInt64 = (1 << UInt64(columnCount)) - 1
        return (0..<rowCount).reduce(0) { $0 | row << UInt64($1 * width) }
    }

    /// The stored elements of a panel's even and odd chunks.
    private func countStored(_ masks: UnsafeRawPointer, panel: Int) throws(SparseError) -> (even: Int, odd: Int) {
        let inner = presentBits(panel: panel, chunk: 0)
        let last = presentBits(panel: panel, chunk: shape.chunks - 1)
        var counts = (even: 0, odd: 0)
        for chunk in 0..<shape.chunks {
            let mask =
                coding == .i16
                ? UInt64(masks.load(fromByteOffset: 4 * chunk, as: UInt32.self))
                : masks.load(fromByteOffset: 8 * chunk, as: UInt64.self)
            if mask & ~(chunk + 1 < shape.chunks ? inner : last) != 0 {
                throw .brokenInvariant("panel \(panel) stores elements beyond the matrix in chunk \(chunk)")
            }
            if chunk % 2 == 0 { counts.even += mask.nonzeroBitCount } else { counts.odd += mask.nonzeroBitCount }
        }
        return counts
    }

    /// Checks that what a bitmap stores is in range, that none of it is a zero and that there is nothing else.
    private func checkStored(
        _ bytes: UnsafeBufferPointer<UInt8>, panel: Int, even: Int, odd: Int
    ) throws(SparseError) {
        let hasZero: Bool
        switch coding {
        case .i16:
            let words = UnsafeRawBufferPointer(bytes)
            var zeros = 0
            for index in stride(from: 0, to: words.count, by: 2) {
                let word = words.loadUnaligned(fromByteOffset: index, as: UInt16.self)
                zeros += word == 0 ? 1 : 0
            }
            hasZero = zeros != 0
        case .i8: hasZero = bytes.contains(0)
        case .i4:
            hasZero =
                bytes[..<even].contains { $0 & 0x0F == 0 } || bytes[..<odd].contains { $0 & 0xF0 == 0 }
            if bytes[even...].contains(where: { $0 & 0x0F != 0 }) || bytes[odd...].contains(where: { $0 & 0xF0 != 0 }) {
                throw .brokenInvariant("panel \(panel) has values that its masks do not name")
            }
        }
        if hasZero { throw .brokenInvariant("panel \(panel) stores a zero") }
        try checkRange(bytes, panel: panel)
    }

    /// Checks that dense values are in range, and zero beyond the matrix.
    private func checkDense(_ bytes: UnsafeBufferPointer<UInt8>, panel: Int) throws(SparseError) {
        try checkRange(bytes, panel: panel)
        let isLastPanel = (panel + 1) * Self.panelRows > rows
        for chunk in isLastPanel ? 0..<shape.chunks : shape.chunks - 1..<shape.chunks {
            let absent = ~presentBits(panel: panel, chunk: chunk)
            for element in 0..<coding.chunkElements where absent >> UInt64(element) & 1 == 1 {
                let value: UInt16
                switch coding {
                case .i16:
                    value = UnsafeRawBufferPointer(bytes).loadUnaligned(
                        fromByteOffset: 2 * (chunk * coding.chunkElements + element), as: UInt16.self)
                case .i8: value = UInt16(bytes[chunk * coding.chunkElements + element])
                case .i4:
                    let byte = bytes[chunk / 2 * coding.chunkElements + element]
                    value = UInt16(chunk % 2 == 0 ? byte & 0x0F : byte & 0xF0)
                }
                if value != 0 {
                    throw .brokenInvariant("panel \(panel) has a value beyond the matrix in chunk \(chunk)")
                }
            }
        }
        // Without a last odd chunk nobody reads the high nibbles beside the last even one.
        if coding == .i4, shape.chunks % 2 == 1, bytes.suffix(coding.chunkElements).contains(where: { $0 > 0x0F }) {
            throw .brokenInvariant("panel \(panel) has values in a chunk that is not there")
        }
    }

    /// Kernels take magnitudes: those of -32768 and -128 do not fit.
    private func checkRange(_ bytes: UnsafeBufferPointer<UInt8>, panel: Int) throws(SparseError) {
        switch coding {
        case .i16:
            let words = UnsafeRawBufferPointer(bytes)
            var found = 0
            for index in stride(from: 0, to: words.count, by: 2) {
                found += words.loadUnaligned(fromByteOffset: index, as: UInt16.self) == 0x8000 ? 1 : 0
            }
            if found != 0 { throw .brokenInvariant("panel \(panel) stores -32768, expected -32767 to 32767") }
        case .i8:
            if bytes.contains(0x80) { throw .brokenInvariant("panel \(panel) stores -128, expected -127 to 127") }
        case .i4: break
        }
    }
}

import Tensors

/// A matrix in the parts that compressed-tensors stores it as; see ``BitmaskTensor``. Each is made from the dense
/// elements by itself, because a file holds the parts of all matrices by the size of their elements.
enum BitmaskEncoding {
    /// Where each row's values begin, and how many there are in all. A zero of either sign is not stored.
    static func rowOffsets(
        rows: Int, columns: Int, _ elements: Storage<UInt8>, _ type: WeightType
    ) -> (offsets: [Int64], valueCount: Int) {
        var offsets: [Int64] = []
        offsets.reserveCapacity(rows)
        var count = 0
        for row in 0..<rows {
            offsets.append(Int64(count))
            let range = row * columns * type.byteCount..<(row + 1) * columns * type.byteCount
            count += type == .f32 ? nonzeros(elements[range], UInt32.self) : nonzeros(elements[range], UInt16.self)
        }
        return (offsets, count)
    }

    private static func nonzeros<Bits: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ bytes: Storage<UInt8>, _ bits: Bits.Type
    ) -> Int {
        var count = 0
        forEach(bytes, bits) { _, element in if element << 1 != 0 { count += 1 } }
        return count
    }

    /// The elements that are not zero.
    static func values(_ elements: Storage<UInt8>, _ type: WeightType, count: Int) -> Storage<UInt8> {
        func values<Bits: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ bits: Bits.Type) -> Storage<UInt8> {
            let output = AlignedBuffer<Bits>(uninitializedCount: count)
            var next = 0
            forEach(elements, bits) { _, element in
                guard element << 1 != 0, next < count else { return }
                output.pointer[next] = element
                next += 1
            }
            precondition(next == count, "\(next) values, counted were \(count)")
            return output.frozen().bytes
        }
        return type == .f32 ? values(UInt32.self) : values(UInt16.self)
    }

    /// A bit for every element, rows padded to whole bytes.
    static func bitmask(rows: Int, columns: Int, _ elements: Storage<UInt8>, _ type: WeightType) -> Storage<UInt8> {
        let rowByteCount = (columns + 7) / 8
        let output = AlignedBuffer<UInt8>(repeating: 0, count: rows * rowByteCount)
        func fill<Bits: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ bits: Bits.Type) {
            var (row, column) = (0, 0)
            forEach(elements, bits) { _, element in
                if element << 1 != 0 { output.pointer[row * rowByteCount + (column >> 3)] |= 1 << UInt8(column & 7) }
                column += 1
                if column == columns { (row, column) = (row + 1, 0) }
            }
        }
        if type == .f32 { fill(UInt32.self) } else { fill(UInt16.self) }
        return output.frozen()
    }

    @inline(__always)
    private static func forEach<Bits: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ bytes: Storage<UInt8>, _ bits: Bits.Type, _ body: (Int, Bits) -> Void
    ) {
        withExtendedLifetime(bytes) {
            let address = UnsafeRawPointer(bytes.pointer)
            for index in 0..<bytes.count / MemoryLayout<Bits>.size {
                body(index, address.loadUnaligned(fromByteOffset: index * MemoryLayout<Bits>.size, as: Bits.self))
            }
        }
    }
}

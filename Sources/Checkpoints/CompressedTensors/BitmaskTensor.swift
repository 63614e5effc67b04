import CKernels
import Tensors

/// A matrix or vector in compressed-tensors' `sparse-bitmask` or `sparse-24-bitmask` format, read row by row where it
/// lies in the mapped files:
///
///     bitmask      u8  [rows, ceil(columns / 8)]   column c of a row is bit c % 8 of byte c / 8: is a value stored?
///     compressed   f16, bf16 or f32                the stored values, row after row
///     row_offsets  i64 [rows]                      where each row's values begin; sparse-24-bitmask has none,
///                                                  since every row stores half of its columns
///
/// Opening checks shapes and types. What the bits say is checked when a row is read, without memory of other rows: its
/// values begin where its offset says, the first row's at 0, and it has as many as bits that are set, which must lead
/// to the next row's offset or to the last value. So reading all rows has checked all of it.
/// Source: `compressors/sparse_compressors` of compressed-tensors 0.12.2, and the same of 0.3 to 0.14.
struct BitmaskTensor: Sendable {
    /// Bytes of a file, which is kept open.
    struct Part: Sendable {
        let file: MappedFile
        let byteRange: Range<Int>

        var address: UnsafeRawPointer { UnsafeRawPointer(file.bytes.pointer) + byteRange.lowerBound }
    }

    let layout: BitmaskLayout
    /// A vector is one row here, and one element a row to those who read it.
    let isVector: Bool
    let rows: Int
    let columns: Int
    let valueType: WeightType
    let bitmask: Part
    let values: Part
    /// nil if every row has half of its columns stored.
    let rowOffsets: Part?
    /// The stored row that is the first one to those who read: of a fused matrix others may be above theirs.
    private(set) var firstRow = 0

    var valueCount: Int { values.byteRange.count / valueType.byteCount }
    var byteCount: Int { bitmask.byteRange.count + values.byteRange.count + (rowOffsets?.byteRange.count ?? 0) }
    var maskRowByteCount: Int { (columns + 7) / 8 }

    /// The same matrix to those who read it from a stored row on.
    /// - Precondition: the row exists, and this begins with the stored first.
    func from(row: Int) -> BitmaskTensor {
        precondition(row >= 0 && row < rows && firstRow == 0 && !isVector, "row \(row) of \(rows)")
        var rest = self
        rest.firstRow = row
        return rest
    }

    /// Tells the system that the pages are not needed any more.
    func release() {
        for part in [bitmask, values, rowOffsets].compactMap(\.self) { part.file.release(part.byteRange) }
    }

    /// Where a row's values lie among all.
    /// - Precondition: the row exists.
    /// - Throws: `CheckpointError` if offsets or bits contradict each other.
    func storedValues(ofRow row: Int, of name: String) throws(CheckpointError) -> Range<Int> {
        let mask = bitmask.address + row * maskRowByteCount
        var stored = 0
        for byte in 0..<maskRowByteCount {
            stored += mask.load(fromByteOffset: byte, as: UInt8.self).nonzeroBitCount
        }
        if columns % 8 != 0 {
            let last = mask.load(fromByteOffset: maskRowByteCount - 1, as: UInt8.self)
            guard last >> UInt8(columns % 8) == 0 else {
                throw damaged(name, row, expected: "no bits behind column \(columns - 1)", found: "some that are set")
            }
        }
        let start = offset(ofRow: row)
        let end = row + 1 < rows ? offset(ofRow: row + 1) : Int64(valueCount)
        guard row > 0 || start == 0 else { throw damaged(name, row, expected: "values from 0 on", found: "\(start)") }
        guard start >= 0, start <= end, end <= valueCount else {
            throw damaged(
                name, row, expected: "offsets that rise within \(valueCount) values", found: "\(start) and \(end)")
        }
        guard end - start == stored else {
            throw damaged(
                name, row, expected: "\(end - start) bits that are set, as its offsets say", found: "\(stored)")
        }
        return Int(start)..<Int(end)
    }

    private func offset(ofRow row: Int) -> Int64 {
        guard let rowOffsets else { return Int64(row * (columns / 2)) }
        return Int64(littleEndian: rowOffsets.address.loadUnaligned(fromByteOffset: 8 * row, as: Int64.self))
    }

    /// Decodes `rows` to `output`; see ``Checkpoint/read(_:rows:as:into:)``. Allocates nothing, unless for a part of a
    /// vector.
    func read(
        rows: Range<Int>, as type: WeightType, to output: UnsafeMutableRawPointer, of name: String
    ) throws(CheckpointError) {
        guard isVector else {
            for row in rows {
                let line = output + (row - rows.lowerBound) * columns * type.byteCount
                try read(row: firstRow + row, as: type, to: line, of: name)
            }
            return
        }
        if rows.count == columns { return try read(row: 0, as: type, to: output, of: name) }
        let whole = AlignedBuffer<UInt8>(uninitializedCount: columns * type.byteCount)
        try read(row: 0, as: type, to: whole.pointer, of: name)
        output.copyMemory(
            from: whole.pointer + rows.lowerBound * type.byteCount, byteCount: rows.count * type.byteCount)
    }

    private func read(
        row: Int, as type: WeightType, to line: UnsafeMutableRawPointer, of name: String
    ) throws(CheckpointError) {
        let stored = try storedValues(ofRow: row, of: name)
        // The values go to the row's end and move to their places from the left: none is overwritten before.
        let input = values.address + stored.lowerBound * valueType.byteCount
        let tail = line + (columns - stored.count) * type.byteCount
        if let index = type.decode(valueType.storedEncoding, from: input, count: stored.count, to: tail) {
            throw notFinite(name, row: row, index: index, as: type, from: input)
        }
        let mask = (bitmask.address + row * maskRowByteCount).assumingMemoryBound(to: UInt8.self)
        if type == .f32 {
            Self.spread(line.assumingMemoryBound(to: UInt32.self), by: mask, columns, stored.count)
        } else {
            Self.spread(line.assumingMemoryBound(to: UInt16.self), by: mask, columns, stored.count)
        }
    }

    /// Moves the last `count` of a row's elements to the columns whose bits are set; the others become zeros.
    private static func spread<Bits: FixedWidthInteger & UnsignedInteger>(
        _ line: UnsafeMutablePointer<Bits>, by mask: UnsafePointer<UInt8>, _ columns: Int, _ count: Int
    ) {
        var next = columns - count
        for column in 0..<columns {
            let bit = Int(mask[column >> 3] >> UInt8(truncatingIfNeeded: column & 7)) & 1
            // Behind the last value the last column is read, and not used.
            line[column] = line[min(next, columns - 1)] & (0 &- Bits(truncatingIfNeeded: bit))
            next += bit
        }
    }

    /// Checks the stored values, which are all that can be NaN or infinite.
    func checkFinite(_ name: String) throws(CheckpointError) {
        let bytes = UnsafeRawBufferPointer(start: values.address, count: values.byteRange.count)
        guard let index = valueType.firstNonFinite(in: bytes) else { return }
        throw CheckpointError(
            .notFinite, path: values.file.path, subject: "tensor \(name.quoted), stored value \(index)",
            expected: "a finite number", found: "\(value(at: index, from: values.address))")
    }

    private func value(at index: Int, from input: UnsafeRawPointer) -> Float {
        var value: Float = 0
        _ = WeightType.f32.decode(
            valueType.storedEncoding, from: input + index * valueType.byteCount, count: 1, to: &value)
        return value
    }

    private func notFinite(
        _ name: String, row: Int, index: Int, as type: WeightType, from input: UnsafeRawPointer
    ) -> CheckpointError {
        let mask = bitmask.address + row * maskRowByteCount
        var remaining = index
        let column = (0..<columns).first { column in
            guard mask.load(fromByteOffset: column / 8, as: UInt8.self) >> UInt8(column % 8) & 1 == 1 else {
                return false
            }
            remaining -= 1
            return remaining < 0
        }
        let value = value(at: index, from: input)
        return CheckpointError(
            .notFinite, path: values.file.path, subject: "tensor \(name.quoted), row \(row), column \(column ?? 0)",
            expected: "a finite number", found: value.isFinite ? "\(value), which \(type) cannot hold" : "\(value)")
    }

    private func damaged(_ name: String, _ row: Int, expected: String, found: String) -> CheckpointError {
        CheckpointError(
            .damaged, path: bitmask.file.path, subject: "tensor \(name.quoted), row \(row) of its bitmask",
            expected: expected, found: found)
    }
}

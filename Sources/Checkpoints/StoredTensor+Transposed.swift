import CKernels
import Tensors

extension StoredTensor {
    /// Which part of a stored matrix a tensor is whose rows are stored as columns: `[columns, storedColumns]` in the
    /// file, of which those from `first` on are the rows here.
    struct Transposition: Sendable, Equatable {
        let storedColumns: Int
        let first: Int
    }

    /// Decodes `rows` to `output`, stored row by stored row: each is a column here.
    /// - Complexity: O(elements). For a single row that is one cache line for each of its elements.
    func read(
        _ transposition: Transposition, rows: Range<Int>, _ decoder: weight_encoding, as type: WeightType,
        to output: UnsafeMutableRawPointer
    ) throws(CheckpointError) {
        let encoding = description.encoding
        guard encoding.elementsPerBlock == 1 else {
            throw unsupported("a transposed matrix that is stored element by element", found: encoding.name)
        }
        let (columns, count) = (description.columns, rows.count)
        let input = UnsafeRawPointer(bytes.pointer)
        var failure: CheckpointError?
        withUnsafeTemporaryAllocation(byteCount: count * type.byteCount, alignment: 16) { line in
            guard let decoded = line.baseAddress else { return }
            for column in 0..<columns {
                let first = column * transposition.storedColumns + transposition.first + rows.lowerBound
                let elements = input + first * encoding.bytesPerBlock
                if let index = type.decode(decoder, from: elements, count: count, to: decoded) {
                    failure = notFinite(
                        row: rows.lowerBound + index, column: column, as: type,
                        value: value(decoder, at: index, from: elements))
                    return
                }
                if type.byteCount == 4 {
                    scatter(decoded.assumingMemoryBound(to: UInt32.self), count, to: output, column, of: columns)
                } else {
                    scatter(decoded.assumingMemoryBound(to: UInt16.self), count, to: output, column, of: columns)
                }
            }
        }
        if let failure { throw failure }
    }

    /// Puts one element into a column of each of `count` rows.
    private func scatter<Bits>(
        _ elements: UnsafePointer<Bits>, _ count: Int, to output: UnsafeMutableRawPointer, _ column: Int,
        of columns: Int
    ) {
        let target = output.assumingMemoryBound(to: Bits.self) + column
        for row in 0..<count { target[row * columns] = elements[row] }
    }
}

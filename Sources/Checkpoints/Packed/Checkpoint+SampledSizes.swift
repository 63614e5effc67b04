public import Sparse
public import Tensors

extension Checkpoint {
    /// Neighbouring rows of a sample: disks take as long for a row as for some.
    private static let stretchRows = 8

    /// ``packedSizes(_:pool:)``, estimated from some of the matrix's rows, in evenly spread stretches: little
    /// else is read.
    /// - Parameter sampledRows: at least one; of a matrix with no more rows all are read, and nothing is estimated.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity in these rows, with the matrix's name.
    /// - Complexity: O(sampled elements).
    public func packedSizes(
        _ name: String, sampledRows: Int, pool: WorkerPool
    ) throws(CheckpointError) -> (nonzeroCount: Int, sizes: [(format: PackedFormat, byteCount: Int)]) {
        precondition(sampledRows >= 1, "\(sampledRows) rows")
        guard let description = self[name], description.shape.count == 2, description.rows > sampledRows,
            description.columns > 0
        else { return try packedSizes(name, pool: pool) }
        let (rows, columns) = (description.rows, description.columns)
        let type = sixteenBitType(of: name)
        let sample = AlignedBuffer<UInt16>(uninitializedCount: sampledRows * columns)
        let stretchCount = (sampledRows + Self.stretchRows - 1) / Self.stretchRows
        let stretches = (0..<stretchCount).map { index in
            let first = index * rows / stretchCount
            return first..<first + min(Self.stretchRows, sampledRows - index * Self.stretchRows)
        }
        try tensor(name).reading(stretches) { () throws(CheckpointError) in
            var line = UnsafeMutableRawPointer(sample.pointer)
            for stretch in stretches {
                let bytes = UnsafeMutableRawBufferPointer(
                    start: line, count: stretch.count * columns * type.byteCount)
                try read(name, rows: stretch, as: type, into: bytes)
                line += bytes.count
            }
        }
        let found = try naming(name) { () throws(SparseError) in
            try PackedMatrix.sizes(
                rows: sampledRows, columns: columns, elements: sample.frozen(), valueType: type.elementType, pool: pool)
        }
        func scaled(_ count: Int) -> Int { Int(Double(count) * Double(rows) / Double(sampledRows)) }
        return (scaled(found.nonzeroCount), found.sizes.map { ($0.format, scaled($0.byteCount)) })
    }
}

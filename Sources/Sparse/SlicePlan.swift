import Tensors

/// How the rows of a matrix are sorted into the slices of a ``SlicedEllpack``, and how many steps each slice takes.
struct SlicePlan: Sendable {
    let sliceOffsets: Storage<UInt64>
    let laneRows: Storage<UInt8>

    var stepCount: Int { Int(sliceOffsets[sliceOffsets.count - 1]) }

    /// Bytes that the matrix takes.
    var storedByteCount: Int {
        stepCount * SlicedEllpack.sliceRows * 3 + sliceOffsets.byteCount + laneRows.byteCount
    }

    func row(ofLane lane: Int) -> Int {
        lane / SlicedEllpack.windowRows * SlicedEllpack.windowRows + Int(laneRows.pointer[lane])
    }

    /// Counts the nonzeros of a row by its bits, 64 columns a word, and what the row takes of a slice: its nonzeros and
    /// the filling between those that are far apart.
    /// - Parameter tiles: gets the nonzeros of each word added.
    static func count(
        _ bits: UnsafePointer<UInt64>, words: Int, tiles: UnsafeMutablePointer<Int>
    ) -> (nonzeros: Int, entries: Int) {
        var (nonzeros, filling, last) = (0, 0, 0)
        for index in 0..<words {
            let word = bits[index]
            if word == 0 { continue }
            let count = word.nonzeroBitCount
            tiles[index] += count
            nonzeros += count
            // Two nonzeros of the same word are never too far apart.
            let gap = index * UInt64.bitWidth + word.trailingZeroBitCount - last
            if gap > SlicedEllpack.longestDelta { filling += (gap - 1) / SlicedEllpack.longestDelta }
            last = (index + 1) * UInt64.bitWidth - 1 - word.leadingZeroBitCount
        }
        return (nonzeros, nonzeros + filling)
    }

    /// Takes windows in any order, on any threads: each has its own part of the arrays.
    struct Builder {
        private let laneRows: AlignedBuffer<UInt8>
        /// `[1 + slices]`: 0, then the steps of each slice.
        private let stepCounts: AlignedBuffer<UInt64>

        init(rows: Int) {
            let slices = SlicedEllpack.sliceCount(rows: rows)
            laneRows = AlignedBuffer(uninitializedCount: slices * SlicedEllpack.sliceRows)
            stepCounts = AlignedBuffer(repeating: 0, count: 1 + slices)
        }

        /// Sorts a window by the lengths of its rows.
        func place(window: Int, lengths: UnsafeMutableBufferPointer<Int>) {
            let first = window * SlicedEllpack.windowRows
            let count = min(SlicedEllpack.windowRows, laneRows.count - first)
            // The longest first; rows of the same length stay in order, and what lies beyond the last row comes last.
            var order = (0..<count).map { row in
                (row < lengths.count ? -lengths[row] : 0) * SlicedEllpack.windowRows + row
            }
            order.sort()
            for (lane, key) in order.enumerated() {
                let row = key & (SlicedEllpack.windowRows - 1)
                laneRows.pointer[first + lane] = UInt8(row)
                if lane % SlicedEllpack.sliceRows == 0 {
                    let length = row < lengths.count ? lengths[row] : 0
                    stepCounts.pointer[1 + (first + lane) / SlicedEllpack.sliceRows] = UInt64(length)
                }
            }
        }

        /// The plan of all windows, which were placed; the builder must not be used afterwards.
        func finish() -> SlicePlan {
            for slice in 1..<stepCounts.count { stepCounts.pointer[slice] += stepCounts.pointer[slice - 1] }
            return SlicePlan(sliceOffsets: stepCounts.frozen(), laneRows: laneRows.frozen())
        }
    }
}

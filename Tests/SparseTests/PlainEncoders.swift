import Sparse
import Tensors

/// The arrays of a tiled bitmap, as its documentation says, one element at a time: what the kernels must give.
struct PlainBitmap {
    var masks: [UInt32] = []
    var values: [UInt16] = []
    var panelOffsets: [UInt64] = [0]

    init(rows: Int, columns: Int, elements: some Collection<UInt16>) {
        let elements = Array(elements)
        for first in stride(from: 0, to: rows, by: 32) {
            for column in 0..<columns {
                var mask: UInt32 = 0
                for row in first..<min(first + 32, rows) where elements[row * columns + column] & 0x7FFF != 0 {
                    mask |= 1 << UInt32(row - first)
                    values.append(elements[row * columns + column])
                }
                masks.append(mask)
            }
            panelOffsets.append(UInt64(values.count))
        }
        values += [UInt16](repeating: 0, count: 32)
    }
}

/// The arrays of a sliced ELLPACK matrix in the same way.
struct PlainEllpack {
    var deltas: [UInt8] = []
    var values: [UInt16] = []
    var sliceOffsets: [UInt64] = [0]
    var laneRows: [UInt8] = []

    init(rows: Int, columns: Int, elements: some Collection<UInt16>) {
        let elements = Array(elements)
        let laneCount = (rows + 15) / 16 * 16
        for window in stride(from: 0, to: laneCount, by: 128) {
            let lanes = (window..<min(window + 128, laneCount)).map { row -> (row: Int, entries: [(UInt8, UInt16)]) in
                guard row < rows else { return (row - window, []) }
                return (row - window, Self.entries(elements[row * columns..<(row + 1) * columns]))
            }
            let sorted = lanes.sorted { ($1.entries.count, $0.row) < ($0.entries.count, $1.row) }
            laneRows += sorted.map { UInt8($0.row) }
            for slice in stride(from: 0, to: sorted.count, by: 16) {
                let steps = sorted[slice].entries.count
                for step in 0..<steps {
                    for (_, entries) in sorted[slice..<slice + 16] {
                        deltas.append(step < entries.count ? entries[step].0 : 0)
                        values.append(step < entries.count ? entries[step].1 : 0)
                    }
                }
                sliceOffsets.append(sliceOffsets.last! + UInt64(steps))
            }
        }
    }

    private static func entries(_ row: ArraySlice<UInt16>) -> [(UInt8, UInt16)] {
        var entries: [(UInt8, UInt16)] = []
        var last = 0
        for (column, element) in row.enumerated() where element & 0x7FFF != 0 {
            while column - last > 255 {
                entries.append((255, 0))
                last += 255
            }
            entries.append((UInt8(column - last), element))
            last = column
        }
        return entries
    }
}

import Tensors
import Testing

@testable import Sparse

@Suite struct FragmentTests {
    static let sides = [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 130, 300]
    static let densities = [0, 0.01, 0.1, 0.3, 0.5, 0.9, 1]

    @Test(arguments: sides) func laneBitmapsComeBackBitForBit(rows: Int) throws {
        for columns in Self.sides {
            for (seed, density) in Self.densities.enumerated() {
                let elements = randomMatrix(
                    rows: rows, columns: columns, density: density, valueType: .bf16, seed: UInt64(seed))
                let matrix = try LaneBitmap(rows: rows, columns: columns, elements: elements, valueType: .bf16)
                #expect(matrix.dense().elementsEqual(elements))
                expectWindowsSuffice(matrix)
            }
        }
    }

    /// No lane is further behind the others than its window, while groups come for the one that needs the most; and a
    /// run says how many values each lane has had.
    private func expectWindowsSuffice(_ matrix: LaneBitmap, sourceLocation: SourceLocation = #_sourceLocation) {
        let steps = FragmentOrder.stripCount(columns: matrix.columns)
        for band in 0..<LaneBitmap.bandCount(rows: matrix.rows) {
            var positions = [Int](repeating: 0, count: LaneBitmap.lanes)
            var groups = 0
            for half in 0..<2 * steps {
                if half % (2 * LaneBitmap.runSteps) == 0 {
                    let first = band * LaneBitmap.bandWords(steps: steps) + half / (2 * LaneBitmap.runSteps) * 32
                    #expect(
                        matrix.bits[first..<first + 32].map { Int($0) } == positions, sourceLocation: sourceLocation)
                }
                let earlier = positions.min()!
                for lane in 0..<LaneBitmap.lanes {
                    positions[lane] +=
                        matrix.word(band: band, half: half, lane: lane, steps: steps).nonzeroBitCount
                }
                groups = positions.max()! / LaneBitmap.groupValues + 1
                let held = groups * LaneBitmap.groupValues - earlier
                #expect(held <= LaneBitmap.windowRows, "band \(band), half \(half)", sourceLocation: sourceLocation)
            }
            let index = (band + 1) * steps
            let found = matrix.firstGroups[index] - matrix.firstGroups[index - steps]
            #expect(Int(found) == groups, sourceLocation: sourceLocation)
        }
    }

    /// Rows that are full between rows that are empty, and the other way round further on.
    @Test func laneBitmapsTakeTheMostUnequalLanes() throws {
        let (rows, columns) = (32, 1_280)
        let elements = Storage<UInt16>(
            (0..<rows * columns).map { index in
                let isLate = index % columns >= 640
                return (index / columns % 8 == 3) != isLate ? 0x3C00 + UInt16(index % 512) : 0
            })
        let matrix = try LaneBitmap(rows: rows, columns: columns, elements: elements, valueType: .f16)
        #expect(matrix.dense().elementsEqual(elements))
        expectWindowsSuffice(matrix)
    }

    /// Bits of an element at the sparsities that people prune to: one and a bit more, and 16 for each nonzero with what
    /// lanes leave empty.
    @Test(arguments: [(0.5, 9.7), (0.6, 8.0), (0.7, 6.3), (0.8, 4.6), (0.9, 2.9)])
    func laneBitmapsHaveLittleFilling(sparsity: Double, bits: Double) throws {
        let (rows, columns) = (64, 4_096)
        let elements = randomMatrix(
            rows: rows, columns: columns, density: 1 - sparsity, valueType: .f16, seed: 5)
        let matrix = try LaneBitmap(rows: rows, columns: columns, elements: elements, valueType: .f16)
        #expect(Double(matrix.storedByteCount * 8) / Double(rows * columns) < bits)
    }

    @Test(arguments: sides) func laneStreamsComeBackBitForBit(rows: Int) throws {
        for columns in Self.sides {
            for (seed, density) in Self.densities.enumerated() {
                let elements = randomMatrix(
                    rows: rows, columns: columns, density: density, valueType: .f16, seed: UInt64(seed))
                let matrix = try LaneStream(rows: rows, columns: columns, elements: elements, valueType: .f16)
                #expect(matrix.dense().elementsEqual(elements))
            }
        }
    }

    /// All nonzeros of one lane's regions: others have nothing to store.
    @Test func laneStreamsTakeTheMostUnequalLanes() throws {
        let (rows, columns) = (32, 640)
        let elements = Storage<UInt16>(
            (0..<rows * columns).map { $0 / columns % 8 == 3 ? 0x3C00 + UInt16($0 % 512) : 0 })
        let matrix = try LaneStream(rows: rows, columns: columns, elements: elements, valueType: .f16)
        #expect(matrix.dense().elementsEqual(elements))
    }

    /// Bits of a nonzero at the sparsities that people prune to: 24 and what fills up, which moving regions from lane
    /// to lane halves.
    @Test(arguments: [(0.5, 24.4), (0.6, 24.5), (0.7, 24.7), (0.8, 26.1), (0.9, 31.2)])
    func laneStreamsHaveLittleFilling(sparsity: Double, bits: Double) throws {
        let (rows, columns) = (64, 4_096)
        let elements = randomMatrix(
            rows: rows, columns: columns, density: 1 - sparsity, valueType: .f16, seed: 5)
        let matrix = try LaneStream(rows: rows, columns: columns, elements: elements, valueType: .f16)
        let nonzeros = elements.count { $0 != 0 }
        #expect(Double(matrix.storedByteCount * 8) / Double(nonzeros) < bits)
    }

    @Test func encodesTheSameWithManyThreads() throws {
        let elements = randomMatrix(rows: 100, columns: 700, density: 0.3, valueType: .f16, seed: 1)
        let pool = WorkerPool(threadCount: 3)
        let bitmaps = try [nil, pool].map {
            try LaneBitmap(rows: 100, columns: 700, elements: elements, valueType: .f16, pool: $0)
        }
        #expect(bitmaps[0].words.elementsEqual(bitmaps[1].words))
        #expect(bitmaps[0].bits.elementsEqual(bitmaps[1].bits))
        #expect(bitmaps[0].firstGroups.elementsEqual(bitmaps[1].firstGroups))
        let streams = try [nil, pool].map {
            try LaneStream(rows: 100, columns: 700, elements: elements, valueType: .f16, pool: $0)
        }
        #expect(streams[0].words.elementsEqual(streams[1].words))
        #expect(streams[0].steps.elementsEqual(streams[1].steps))
        #expect(streams[0].firstGroups.elementsEqual(streams[1].firstGroups))
    }

    @Test func refusesWhatIsNoMatrix() {
        let elements = Storage<UInt16>([0, 0x7C00, 1, 2])
        #expect(throws: SparseError.notFinite(row: 0, column: 1)) {
            try LaneBitmap(rows: 2, columns: 2, elements: elements, valueType: .f16)
        }
        #expect(throws: SparseError.wrongElementCount(array: "elements", expected: 6, found: 4)) {
            try LaneStream(rows: 3, columns: 2, elements: elements, valueType: .f16)
        }
        #expect(throws: SparseError.unsupportedValueType(.i8)) {
            try LaneBitmap(rows: 2, columns: 2, elements: elements, valueType: .i8)
        }
    }
}

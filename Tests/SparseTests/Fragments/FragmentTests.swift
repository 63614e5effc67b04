import Sparse
import Tensors
import Testing

@Suite struct FragmentTests {
    static let sides = [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 130, 300]
    static let densities = [0, 0.01, 0.1, 0.3, 0.5, 0.9, 1]

    @Test(arguments: sides) func bitmapsComeBackBitForBit(rows: Int) throws {
        for columns in Self.sides {
            for (seed, density) in Self.densities.enumerated() {
                let elements = randomMatrix(
                    rows: rows, columns: columns, density: density, valueType: .bf16, seed: UInt64(seed))
                let matrix = try FragmentBitmap(rows: rows, columns: columns, elements: elements, valueType: .bf16)
                #expect(matrix.dense().elementsEqual(elements))
            }
        }
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
            try FragmentBitmap(rows: 100, columns: 700, elements: elements, valueType: .f16, pool: $0)
        }
        #expect(bitmaps[0].words.elementsEqual(bitmaps[1].words))
        #expect(bitmaps[0].offsets.elementsEqual(bitmaps[1].offsets))
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
            try FragmentBitmap(rows: 2, columns: 2, elements: elements, valueType: .f16)
        }
        #expect(throws: SparseError.wrongElementCount(array: "elements", expected: 6, found: 4)) {
            try LaneStream(rows: 3, columns: 2, elements: elements, valueType: .f16)
        }
        #expect(throws: SparseError.unsupportedValueType(.i8)) {
            try FragmentBitmap(rows: 2, columns: 2, elements: elements, valueType: .i8)
        }
    }
}

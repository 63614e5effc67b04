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

    @Test(arguments: GapCoding.allCases, [1, 3]) func gapStreamsComeBackBitForBit(
        coding: GapCoding, segmentStrips: Int
    ) throws {
        for rows in [1, 9, 16, 17, 40] {
            for columns in Self.sides {
                for (seed, density) in Self.densities.enumerated() {
                    let elements = randomMatrix(
                        rows: rows, columns: columns, density: density, valueType: .f16, seed: UInt64(seed))
                    let matrix = try GapStream(
                        rows: rows, columns: columns, elements: elements, valueType: .f16, coding: coding,
                        segmentStrips: segmentStrips)
                    #expect(matrix.dense().elementsEqual(elements))
                }
            }
        }
    }

    /// Bits of a nonzero, and the coding, at the sparsities that people prune to.
    @Test(arguments: [
        (0.5, GapCoding.bits3, 20.2), (0.6, .bits3, 20.7), (0.7, .bits4, 21.1), (0.8, .bits5, 22.2),
        (0.9, .bits5, 23.4), (0.95, .bits8, 26.5),
    ])
    func gapsTakeTheCodingThatIsSmallest(sparsity: Double, coding: GapCoding, bits: Double) throws {
        let (rows, columns) = (64, 4_096)
        let elements = randomMatrix(
            rows: rows, columns: columns, density: 1 - sparsity, valueType: .f16, seed: 5)
        let matrix = try GapStream(
            rows: rows, columns: columns, elements: elements, valueType: .f16, segmentStrips: 32)
        #expect(matrix.coding == coding)
        let nonzeros = elements.count { $0 != 0 }
        #expect(Double(matrix.storedByteCount * 8) / Double(nonzeros) < bits)
    }

    @Test func encodesTheSameWithManyThreads() throws {
        let elements = randomMatrix(rows: 100, columns: 700, density: 0.3, valueType: .f16, seed: 1)
        let pool = WorkerPool(threadCount: 3)
        let bitmaps = try [nil, pool].map {
            try FragmentBitmap(rows: 100, columns: 700, elements: elements, valueType: .f16, pool: $0)
        }
        #expect(bitmaps[0].values.elementsEqual(bitmaps[1].values))
        #expect(bitmaps[0].bitmaps.elementsEqual(bitmaps[1].bitmaps))
        let streams = try [nil, pool].map {
            try GapStream(
                rows: 100, columns: 700, elements: elements, valueType: .f16, segmentStrips: 4, pool: $0)
        }
        #expect(streams[0].words.elementsEqual(streams[1].words))
    }

    @Test func refusesWhatIsNoMatrix() {
        let elements = Storage<UInt16>([0, 0x7C00, 1, 2])
        #expect(throws: SparseError.notFinite(row: 0, column: 1)) {
            try FragmentBitmap(rows: 2, columns: 2, elements: elements, valueType: .f16)
        }
        #expect(throws: SparseError.wrongElementCount(array: "elements", expected: 6, found: 4)) {
            try GapStream(rows: 3, columns: 2, elements: elements, valueType: .f16, segmentStrips: 1)
        }
        #expect(throws: SparseError.unsupportedValueType(.i8)) {
            try FragmentBitmap(rows: 2, columns: 2, elements: elements, valueType: .i8)
        }
    }
}

import Sparse
import Tensors
import TestSupport
import Testing

@Suite struct TiledCSLTests {
    static let sides = [1, 2, 7, 8, 31, 63, 64, 65, 127, 128, 129, 130]

    private func encode(_ elements: [UInt16], _ rows: Int, _ columns: Int) throws -> TiledCSL {
        try TiledCSL(rows: rows, columns: columns, elements: Storage(elements), valueType: .f16)
    }

    /// Encodes, checks everything that must hold for any matrix, and hands the result back.
    @discardableResult private func roundTrip(_ elements: [UInt16], _ rows: Int, _ columns: Int) throws -> TiledCSL {
        let matrix = try encode(elements, rows, columns)
        let expected = elements.withoutNegativeZeros
        #expect(matrix.dense() == expected, "\(rows) x \(columns)")
        try matrix.checkInvariants()
        let nonzeros = expected.count { $0 != 0 }
        #expect(matrix.nonzeroCount == nonzeros)
        #expect(matrix.words.count % 4 == 0 && matrix.words.count < nonzeros + 4 * matrix.tileCount)
        let byteCount = try TiledCSL.storedByteCount(
            countingNonzerosOf: Storage(elements), rows: rows, columns: columns, valueType: .f16)
        #expect(byteCount == matrix.storedByteCount)
        #expect(byteCount == 4 * matrix.words.count + 4 * (matrix.tileCount + 2))
        return matrix
    }

    @Test(arguments: sides)
    func decodesWhatItEncoded(rows: Int) throws {
        for columns in Self.sides {
            for densityPercent: UInt64 in [0, 10, 50, 90, 100] {
                let seed = UInt64(rows * 1000 + columns) * 100 + densityPercent
                let random = RandomMatrix(rows: rows, columns: columns, densityPercent: densityPercent, seed: seed)
                try roundTrip(random.elements(), rows, columns)
            }
        }
    }

    @Test(arguments: sides)
    func keepsASingleNonzeroWhereverItIs(rows: Int) throws {
        for columns in Self.sides {
            for place in [0, columns - 1, rows * columns / 2, rows * columns - 1] {
                var elements = [UInt16](repeating: 0x8000, count: rows * columns)
                elements[place] = 0x3C00
                let matrix = try roundTrip(elements, rows, columns)
                #expect(matrix.words.count == 4)
            }
        }
    }

    @Test func encodesATileOfNonzerosOnly() throws {
        var elements = [UInt16](repeating: 0, count: 256 * 192)
        for row in 128..<256 {
            for column in 64..<128 { elements[row * 192 + column] = UInt16(row * 64 + column) & 0x3FFF | 1 }
        }
        let matrix = try roundTrip(elements, 256, 192)
        #expect(Array(matrix.tileOffsets.buffer) == [0, 0, 0, 0, 0, 2048, 2048, 2048])
    }

    @Test(arguments: 1...9)
    func fillsNearlyFullTilesUp(zeroCount: Int) throws {
        var random = SplitMix64(seed: UInt64(zeroCount))
        var elements = [UInt16](repeating: 0x3C00, count: 8192)
        var left = zeroCount
        while left > 0 {
            let place = Int(random.next() % 8192)
            left -= elements[place] == 0 ? 0 : 1
            elements[place] = 0
        }
        let matrix = try roundTrip(elements, 128, 64)
        #expect(matrix.words.count == 8192 - zeroCount / 4 * 4)
    }

    @Test func storesNothingForZeros() throws {
        let matrix = try roundTrip([UInt16](repeating: 0x8000, count: 130 * 130), 130, 130)
        #expect(matrix.words.count == 0 && matrix.tileCount == 6 && matrix.storedByteCount == 32)
    }

    @Test func keepsEveryFiniteValue() throws {
        // All 65,536 bit patterns but the 2,048 of NaN and infinity.
        let elements = (0..<65536).map { UInt16($0) }.filter { $0 & 0x7C00 != 0x7C00 }
        try roundTrip(elements, 256, elements.count / 256)
        let bfloats = (0..<65536).map { UInt16($0) }.filter { $0 & 0x7F80 != 0x7F80 }
        let matrix = try TiledCSL(
            rows: 255, columns: bfloats.count / 255, elements: Storage(bfloats), valueType: .bf16)
        #expect(matrix.dense() == bfloats.withoutNegativeZeros)
        try matrix.checkInvariants()
    }

    @Test(arguments: [0x7C00, 0xFC00, 0x7C01, 0x7E00, 0xFFFF] as [UInt16])
    func refusesNaNAndInfinityWithTheirPlace(bits: UInt16) throws {
        for (row, column) in [(0, 0), (0, 129), (127, 63), (127, 64), (128, 0), (129, 129)] {
            var elements = [UInt16](repeating: 0x3C00, count: 130 * 130)
            elements[row * 130 + column] = bits
            elements[130 * 130 - 1] = bits  // a later one is not what is named
            #expect(throws: SparseError.notFinite(row: row, column: column)) { try encode(elements, 130, 130) }
            #expect(throws: SparseError.notFinite(row: row, column: column)) {
                try TiledCSL.storedByteCount(
                    countingNonzerosOf: Storage(elements), rows: 130, columns: 130, valueType: .f16)
            }
        }
    }

    @Test func theValueTypeDecidesWhatIsFinite() throws {
        let infinity: [UInt16] = [0x7F80, 0x3F80]
        let large: [UInt16] = [0x7F7F, 0x7C00]
        #expect(throws: SparseError.notFinite(row: 0, column: 0)) {
            try TiledCSL(rows: 1, columns: 2, elements: Storage(infinity), valueType: .bf16)
        }
        #expect(try TiledCSL(rows: 1, columns: 2, elements: Storage(large), valueType: .bf16).dense() == large)
        #expect(throws: SparseError.notFinite(row: 0, column: 0)) { try encode(large, 1, 2) }
        #expect(throws: SparseError.unsupportedValueType(.f32)) {
            try TiledCSL(rows: 1, columns: 2, elements: Storage(large), valueType: .f32)
        }
    }

    @Test func refusesShapesThatDoNotFit() {
        for (rows, columns) in [(0, 1), (1, 0), (-1, -1), (Int.max, 2), (1, Int(Int32.max) + 1), (Int.min, Int.min)] {
            #expect(throws: SparseError.invalidShape(rows: rows, columns: columns)) { try encode([1], rows, columns) }
        }
        #expect(throws: SparseError.wrongElementCount(array: "the dense matrix", expected: 6, found: 5)) {
            try encode([1, 2, 3, 4, 5], 2, 3)
        }
        #expect(throws: SparseError.self) { try encode([1], Int(Int32.max), Int(Int32.max)) }
    }

    @Test func encodesAndDecodesTileRowsOnAnyThread() async throws {
        let random = RandomMatrix(rows: 1100, columns: 200, densityPercent: 40, seed: 5)
        let elements = Storage(random.elements())
        let whole = try TiledCSL(rows: 1100, columns: 200, elements: elements, valueType: .f16)
        let source = try TiledCSL.Source(rows: 1100, columns: 200, elements: elements, valueType: .f16)
        #expect(source.tileRowCount == 9)
        let counts = try await withThrowingTaskGroup(of: (Int, [Int]).self) { group in
            for tileRow in 0..<source.tileRowCount {
                group.addTask { (tileRow, try source.nonzeroCounts(inTileRow: tileRow)) }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.flatMap(\.1)
        }
        let encoder = try TiledCSL.Encoder(source, nonzeroCounts: counts)
        await withTaskGroup { group in
            for tileRow in (0..<source.tileRowCount).reversed() { group.addTask { encoder.encode(tileRow: tileRow) } }
        }
        let pieced = encoder.finish()
        #expect(Array(pieced.words.buffer) == Array(whole.words.buffer))
        #expect(Array(pieced.tileOffsets.buffer) == Array(whole.tileOffsets.buffer))

        var dense = [UInt16](repeating: 0x7777, count: 1100 * 200)
        dense.withUnsafeMutableBufferPointer { dense in
            for tileRow in [8, 2, 0, 1, 3, 7, 6, 5, 4] { pieced.decode(tileRow: tileRow, into: dense) }
        }
        #expect(dense == random.elements().withoutNegativeZeros)
    }

    @Test func decodesNoRowsButThoseOfTheTileRow() throws {
        let matrix = try encode([UInt16](repeating: 0x3C00, count: 300 * 3), 300, 3)
        var dense = [UInt16](repeating: 7, count: 900)
        dense.withUnsafeMutableBufferPointer { matrix.decode(tileRow: 1, into: $0) }
        #expect(dense.indices.allSatisfy { dense[$0] == ((128 * 3..<256 * 3).contains($0) ? 0x3C00 : 7) })
    }
}

import Sparse
import Tensors
import TestSupport
import Testing

@Suite struct TiledCSLValidationTests {
    /// The arrays of a valid 200 x 100 matrix (2 x 2 tiles), to be altered.
    private struct Parts {
        var rows = 200
        var columns = 100
        var words: [UInt32]
        var tileOffsets: [Int32]

        init(densityPercent: UInt64 = 5, seed: UInt64 = 1) throws {
            let random = RandomMatrix(rows: rows, columns: columns, densityPercent: densityPercent, seed: seed)
            let matrix = try TiledCSL(
                rows: rows, columns: columns, elements: Storage(random.elements()), valueType: .f16)
            words = Array(matrix.words.buffer)
            tileOffsets = Array(matrix.tileOffsets.buffer)
        }

        @discardableResult
        func matrix(checking check: TiledCSL.Check = .everything) throws(SparseError) -> TiledCSL {
            try TiledCSL(
                rows: rows, columns: columns, words: Storage(words), tileOffsets: Storage(tileOffsets),
                valueType: .f16, checking: check)
        }
    }

    @Test func acceptsWhatWasEncoded() throws {
        for densityPercent: UInt64 in [0, 1, 50, 100] {
            let parts = try Parts(densityPercent: densityPercent)
            let elements = RandomMatrix(rows: 200, columns: 100, densityPercent: densityPercent, seed: 1).elements()
            #expect(try parts.matrix().dense() == elements.withoutNegativeZeros)
            #expect(try parts.matrix(checking: .tileOffsets).dense() == elements.withoutNegativeZeros)
        }
    }

    @Test func refusesEveryWrongOffset() throws {
        let valid = try Parts()
        for index in valid.tileOffsets.indices {
            for wrong: Int32 in [-1, .min, .max, valid.tileOffsets[index] + 1, valid.tileOffsets[index] - 1] {
                var parts = valid
                parts.tileOffsets[index] = wrong
                if (1...3).contains(index) && abs(Int(wrong) - Int(valid.tileOffsets[index])) == 1 {
                    // Still a plausible offset, but a word has moved to the tile beside: that shows for most words only
                    // by their place, so it is not always refused; it must be harmless.
                    _ = (try? parts.matrix())?.dense()
                } else {
                    #expect(throws: SparseError.self, "offset \(index) = \(wrong)") { try parts.matrix() }
                    #expect(throws: SparseError.self) { try parts.matrix(checking: .tileOffsets) }
                }
            }
        }
    }

    @Test func namesTheWrongOffset() throws {
        var parts = try Parts()
        let last = parts.tileOffsets[4]
        parts.tileOffsets[5] += 1
        #expect(
            throws: SparseError.invalidTileOffset(
                index: 5, expected: "\(last) as the offset before it", found: Int(last) + 1)
        ) { try parts.matrix() }
        parts.tileOffsets[0] = 1
        #expect(throws: SparseError.invalidTileOffset(index: 0, expected: "0", found: 1)) { try parts.matrix() }
    }

    @Test func refusesATileOfMoreWordsThanPositions() throws {
        let words = Storage([UInt32](repeating: 0, count: 8196))
        #expect(throws: SparseError.invalidTileOffset(index: 1, expected: "0 to 2048", found: 2049)) {
            try TiledCSL(
                rows: 1, columns: 1, words: words, tileOffsets: Storage([0, 2049, 2049]), valueType: .f16)
        }
    }

    @Test func refusesWrongCounts() throws {
        let valid = try Parts()
        for change in [-4, -1, 1, 4] {
            var parts = valid
            parts.words = change < 0 ? parts.words.dropLast(-change) : parts.words + Array(repeating: 0, count: change)
            #expect(
                throws: SparseError.wrongElementCount(
                    array: "the array of words", expected: valid.words.count, found: valid.words.count + change)
            ) { try parts.matrix() }
        }
        for count in [0, 1, 5] {
            var parts = valid
            parts.tileOffsets = Array(parts.tileOffsets.prefix(count))
            #expect(
                throws: SparseError.wrongElementCount(
                    array: "the array of tile offsets", expected: 6, found: count)
            ) { try parts.matrix() }
        }
    }

    @Test func refusesShapesThatOverflow() throws {
        var parts = try Parts()
        for (rows, columns) in [
            (0, 100), (200, -1), (Int.max, Int.max), (1 << 40, 1), (Int(Int32.max), Int(Int32.max)),
        ] {
            parts.rows = rows
            parts.columns = columns
            #expect(throws: SparseError.self) { try parts.matrix() }
        }
    }

    @Test func refusesWordsThatNoEncoderWrites() throws {
        let valid = try Parts()
        let lastTile = Int(valid.tileOffsets[3]) * 4
        func expect(_ fault: SparseError.EntryFault, word: UInt32, at index: Int) {
            var parts = valid
            parts.words[index] = word
            #expect(throws: SparseError.invalidEntry(index: index, fault)) { try parts.matrix() }
        }
        let one: UInt16 = 0x3C00
        expect(.positionOutsideTile(position: 8192, limit: 8192), word: 8192 << 16 | 1, at: 0)
        expect(.positionOutsideTile(position: 65535, limit: 8192), word: .max, at: 7)
        expect(.positionOutsideTile(position: 8192, limit: 8192), word: 8192 << 16, at: 3)
        let below = TiledCSL.Entry(value: one, row: 72, column: 0).bits
        expect(.outsideMatrix(row: 200, column: 64), word: below, at: lastTile)
        let beside = TiledCSL.Entry(value: one, row: 71, column: 36).bits
        expect(.outsideMatrix(row: 199, column: 100), word: beside, at: lastTile + 1)
        let infinite = TiledCSL.Entry(value: 0xFC00, row: 71, column: 35).bits
        expect(.notFinite(row: 199, column: 99), word: infinite, at: lastTile + 2)
        let first = TiledCSL.Entry(bits: valid.words[0])
        expect(.repeated(row: first.row, column: first.column), word: valid.words[0], at: 1)
        expect(.repeated(row: first.row, column: first.column), word: valid.words[0] & 0xFFFF_0000, at: 2)
    }

    @Test func saysWhatIsWrongInOneSentence() {
        let sentences: [(SparseError, String)] = [
            (
                .invalidShape(rows: 0, columns: 5),
                "a matrix of 0 x 5 elements has no sparse form: each side must be 1 to 2147483647"
            ),
            (
                .notFinite(row: 3, column: 4),
                "the element at row 3, column 4 is NaN or infinite, expected finite values"
            ),
            (.invalidTileOffset(index: 2, expected: "5 to 9", found: 4), "tile offset 2 is 4, expected 5 to 9"),
            (
                .invalidEntry(index: 7, .positionOutsideTile(position: 8192, limit: 8192)),
                "stored word 7 has position 8192, expected 0 to 8191"
            ),
            (
                .invalidEntry(index: 7, .repeated(row: 1, column: 2)),
                "stored word 7 is for row 1, column 2, which another word already holds"
            ),
            (
                .wrongFileSize(path: "a.bin", expectedByteCount: 16, foundByteCount: 15),
                "a.bin has 15 bytes, expected 16"
            ),
        ]
        for (error, sentence) in sentences { #expect(error.description == sentence) }
    }

    @Test func acceptsPaddingOutsideTheMatrix() throws {
        let zero = TiledCSL.Entry(value: 0, row: 127, column: 63).bits
        let one = TiledCSL.Entry(value: 0x3C00, row: 0, column: 0).bits
        let matrix = try TiledCSL(
            rows: 1, columns: 1, words: Storage([zero, zero, one, 0x8000_0000 >> 3 | 0x8000]),
            tileOffsets: Storage([0, 1, 1]), valueType: .f16)
        #expect(matrix.dense() == [0x3C00] && matrix.nonzeroCount == 1)
    }

    /// Whatever is accepted keeps the invariants and survives another round trip; nothing crashes.
    @Test(arguments: 0..<8)
    func survivesMutations(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let valid = try Parts(densityPercent: 2, seed: UInt64(seed))
        var acceptedCount = 0
        for _ in 0..<150 {
            var parts = valid
            for _ in 0...random.next() % 3 { mutate(&parts, using: &random) }
            _ = (try? parts.matrix(checking: .tileOffsets))?.dense()
            guard let matrix = try? parts.matrix() else { continue }
            acceptedCount += 1
            let dense = matrix.dense()
            let again = try TiledCSL(
                rows: parts.rows, columns: parts.columns, elements: Storage(dense), valueType: .f16)
            #expect(again.nonzeroCount == matrix.nonzeroCount)
            #expect(again.dense() == dense)
        }
        #expect(acceptedCount > 0 && acceptedCount < 150)
    }

    private func mutate(_ parts: inout Parts, using random: inout SplitMix64) {
        let number = random.next()
        let word = Int(random.next() % UInt64(parts.words.count))
        let offset = Int(random.next() % UInt64(parts.tileOffsets.count))
        switch number % 8 {
        case 0, 1: parts.words[word] ^= 1 << UInt32(number >> 8 & 31)
        case 2: parts.words[word] = UInt32(truncatingIfNeeded: number >> 8)
        case 3: parts.words[word] = parts.words[Int(number >> 8) % parts.words.count]
        case 4: parts.tileOffsets[offset] ^= 1 << Int32(number >> 8 & 31)
        case 5: parts.tileOffsets[offset] &+= number & 0x100 == 0 ? 1 : -1
        case 6: parts.words.swapAt(word, Int(number >> 8) % parts.words.count)
        default: parts.rows = Int(number >> 8 & 511)
        }
    }
}

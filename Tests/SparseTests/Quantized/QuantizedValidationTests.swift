import Sparse
import Tensors
import TestSupport
import Testing

/// Arrays from outside: what is damaged is refused, and what is accepted is safe to read.
@Suite struct QuantizedValidationTests {
    /// The arrays of a matrix, to be changed.
    private struct Arrays {
        var rows: Int
        var columns: Int
        var coding: QuantizedCoding
        var group: ScaleGroup
        var masks: [UInt8]?
        var values: [UInt8]
        var offsets: [UInt64]
        var scales: [UInt16]

        init(_ matrix: QuantizedMatrix) {
            (rows, columns) = (matrix.rows, matrix.columns)
            (coding, group) = (matrix.coding, matrix.group)
            masks = matrix.masks.map(Array.init)
            values = Array(matrix.values)
            offsets = Array(matrix.panelOffsets)
            scales = Array(matrix.scales)
        }

        func opened() throws(SparseError) -> QuantizedMatrix {
            let matrix = try QuantizedMatrix(
                rows: rows, columns: columns, coding: coding, group: group, masks: masks.map { Storage($0) },
                values: Storage(values), panelOffsets: Storage(offsets), scales: Storage(scales))
            try matrix.checkInvariants()
            return matrix
        }
    }

    private static func matrices(rows: Int, columns: Int, density: Double) throws -> [QuantizedMatrix] {
        try everyQuantization(
            rows: rows, columns: columns,
            elements: randomMatrix(rows: rows, columns: columns, density: density, valueType: .f16, seed: 1))
    }

    @Test func acceptsWhatWasEncoded() throws {
        for (rows, columns) in [(1, 1), (16, 8), (20, 13), (33, 70), (40, 300)] {
            for matrix in try Self.matrices(rows: rows, columns: columns, density: 0.5) {
                #expect(try Arrays(matrix).opened().integers().elementsEqual(matrix.integers()))
            }
        }
    }

    @Test func refusesArraysOfTheWrongLength() throws {
        for matrix in try Self.matrices(rows: 40, columns: 140, density: 0.5) {
            let changes: [(inout Arrays) -> Void] = [
                { $0.values.removeLast() }, { $0.values.append(0) }, { $0.values = [] },
                { $0.values.removeLast($0.values.count - 63) }, { $0.offsets.removeLast() }, { $0.offsets = [] },
                { $0.offsets.append($0.offsets.last!) }, { $0.scales.removeLast(16) }, { $0.scales.append(0) },
                { $0.rows += 16 }, { $0.columns += 64 }, { $0.rows = 0 }, { $0.columns = -1 }, { $0.rows = .max },
                { $0.columns = 1 << 31 }, { $0.rows = Int(Int32.max) }, { $0.columns = Int(Int32.max) },
                { $0.coding = $0.coding == .i16 ? .i8 : .i16 }, { $0.group = $0.group == .row ? .columns32 : .row },
                { $0.masks = $0.masks == nil ? [] : nil },
                { $0.masks?.removeLast() == nil ? $0.scales.removeAll() : () },
            ]
            for (index, change) in changes.enumerated() {
                var arrays = Arrays(matrix)
                change(&arrays)
                #expect(throws: SparseError.self, "change \(index) of \(matrix.coding) \(matrix.positions)") {
                    try arrays.opened()
                }
            }
        }
    }

    @Test func refusesDamagedOffsets() throws {
        for matrix in try Self.matrices(rows: 70, columns: 40, density: 0.5) {
            for index in 0..<matrix.panelOffsets.count {
                for value in [0, 1, 2, 1_000_000, UInt64.max, matrix.panelOffsets[index] + 1] {
                    var arrays = Arrays(matrix)
                    if arrays.offsets[index] == value { continue }
                    arrays.offsets[index] = value
                    #expect(throws: SparseError.self) { try arrays.opened() }
                }
            }
        }
    }

    /// A changed mask always shows: the number of stored elements, or a bit beyond the matrix, gives it away, or it
    /// names other elements of the same number, which is a matrix too.
    @Test func survivesDamagedMasksAndValues() throws {
        var generator = SplitMix64(seed: 3)
        for matrix in try Self.matrices(rows: 20, columns: 27, density: 0.5) {
            let whole = Arrays(matrix)
            for _ in 0..<300 {
                var arrays = whole
                if arrays.masks != nil, Bool.random(using: &generator) {
                    let place = Int.random(in: 0..<arrays.masks!.count, using: &generator)
                    arrays.masks![place] ^= .random(in: 1...255, using: &generator)
                } else {
                    arrays.values[.random(in: 0..<arrays.values.count, using: &generator)] = [
                        0, 0x80, 0x08, 0xFF, 0x7F,
                    ]
                    .randomElement(using: &generator)!
                }
                guard let opened = try? arrays.opened() else { continue }
                #expect(opened.integers().count == 20 * 27)
                let limit: Int16 = matrix.coding == .i16 ? -32767 : matrix.coding == .i8 ? -127 : -8
                #expect(opened.integers().allSatisfy { $0 >= limit })
            }
        }
    }

    @Test func refusesBitsBeyondTheMatrix() throws {
        for matrix in try Self.matrices(rows: 20, columns: 27, density: 0.5) where matrix.positions == .bitmap {
            // Moving a bit keeps the counts, so that only its place is wrong.
            var arrays = Arrays(matrix)
            let chunkBytes = arrays.coding == .i16 ? 4 : 8
            let last = arrays.masks!.count - chunkBytes
            // The last chunk has 27 % 4 = 3 columns, or one of two; the last panel four rows.
            let stray = arrays.coding == .i16 ? 1 : 3
            let first = arrays.masks![last]
            guard let stored = (0..<4).first(where: { first & 1 << $0 != 0 && $0 != stray }) else { continue }
            arrays.masks![last] ^= 1 << stored | 1 << stray
            #expect(throws: SparseError.self) { try arrays.opened() }
            arrays = Arrays(matrix)
            arrays.masks![last + chunkBytes - 1] |= 0x80
            #expect(throws: SparseError.self) { try arrays.opened() }
        }
    }

    @Test func refusesWhatKernelsCannotTake() throws {
        for matrix in try Self.matrices(rows: 17, columns: 66, density: 0.6) {
            for bits in [UInt16(0x7F80), 0xFF80, 0x7FC0, 0xFFFF] {
                var arrays = Arrays(matrix)
                arrays.scales[arrays.scales.count / 2] = bits
                #expect(throws: SparseError.self) { try arrays.opened() }
            }
            var arrays = Arrays(matrix)
            arrays.values[arrays.values.count - 1] = 1
            #expect(throws: SparseError.self) { try arrays.opened() }
            arrays = Arrays(matrix)
            switch matrix.coding {
            case .i16: (arrays.values[0], arrays.values[1]) = (0, 0x80)
            case .i8: arrays.values[0] = 0x80
            case .i4: continue
            }
            #expect(throws: SparseError.self) { try arrays.opened() }
        }
    }

    @Test func refusesStoredZeros() throws {
        for matrix in try Self.matrices(rows: 17, columns: 66, density: 0.6) where matrix.positions == .bitmap {
            for nibble in [UInt8(0x0F), 0xF0] {
                var arrays = Arrays(matrix)
                arrays.values[0] &= matrix.coding == .i4 ? nibble : 0
                arrays.values[1] &= matrix.coding == .i4 ? 0xFF : matrix.coding == .i8 ? 0xFF : 0
                #expect(throws: SparseError.self) { try arrays.opened() }
            }
        }
    }

    /// Integers beyond the matrix would not change a product, yet nobody writes them.
    @Test func refusesDenseValuesBeyondTheMatrix() throws {
        for matrix in try Self.matrices(rows: 20, columns: 27, density: 1) where matrix.positions == .dense {
            var arrays = Arrays(matrix)
            arrays.values[arrays.values.count - 65] = 0x11
            #expect(throws: SparseError.self) { try arrays.opened() }
        }
    }
}

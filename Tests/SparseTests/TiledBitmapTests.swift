import CKernels
import Sparse
import Tensors
import TestSupport
import Testing

@Suite struct TiledBitmapTests {
    static let sides = [1, 2, 7, 8, 13, 31, 32, 33, 63, 64, 65, 127, 128, 129, 130]

    @Test(arguments: sides) func comesBackBitForBit(rows: Int) throws {
        for columns in Self.sides {
            for (seed, density) in [0, 0.02, 0.5, 0.9, 1].enumerated() {
                let elements = randomMatrix(
                    rows: rows, columns: columns, density: density, valueType: .f16, seed: UInt64(seed))
                let matrix = try TiledBitmap(rows: rows, columns: columns, elements: elements, valueType: .f16)
                #expect(matrix.dense().elementsEqual(elements))
                try matrix.checkInvariants()
                let nonzeros = elements.count { $0 != 0 }
                #expect(matrix.nonzeroCount == nonzeros)
                #expect(
                    matrix.storedByteCount
                        == TiledBitmap.storedByteCount(rows: rows, columns: columns, nonzeroCount: nonzeros))
            }
        }
    }

    @Test func keepsOddValuesAndDropsNegativeZero() throws {
        let elements = Storage<UInt16>([0x8000, 0x0001, 0x8001, 0x7BFF, 0xFBFF, 0x0000, 0x03FF, 0x3C00])
        let matrix = try TiledBitmap(rows: 2, columns: 4, elements: elements, valueType: .f16)
        #expect(matrix.nonzeroCount == 6)
        #expect(Array(matrix.dense()) == [0, 0x0001, 0x8001, 0x7BFF, 0xFBFF, 0, 0x03FF, 0x3C00])
    }

    @Test(arguments: [(ElementType.f16, UInt16(0x7C00)), (.f16, 0xFE01), (.bf16, 0x7F80), (.bf16, 0xFFC1)])
    func refusesNaNAndInfinity(valueType: ElementType, bits: UInt16) {
        var elements = [UInt16](repeating: 0x3C00, count: 35)
        elements[23] = bits
        #expect(throws: SparseError.notFinite(row: 4, column: 3)) {
            try TiledBitmap(rows: 7, columns: 5, elements: Storage(elements), valueType: valueType)
        }
    }

    @Test func encodesTheSameWithManyThreads() throws {
        let elements = randomMatrix(rows: 200, columns: 70, density: 0.3, valueType: .f16, seed: 1)
        let alone = try TiledBitmap(rows: 200, columns: 70, elements: elements, valueType: .f16)
        let together = try TiledBitmap(
            rows: 200, columns: 70, elements: elements, valueType: .f16, pool: WorkerPool(threadCount: 3))
        #expect(alone.masks.elementsEqual(together.masks))
        #expect(alone.values.elementsEqual(together.values))
        #expect(alone.panelOffsets.elementsEqual(together.panelOffsets))
    }

    /// Arrays from outside with any bits changed are either refused or still a matrix that is safe to read.
    @Test func refusesDamagedArrays() throws {
        let (rows, columns) = (70, 20)
        let elements = randomMatrix(rows: rows, columns: columns, density: 0.4, valueType: .f16, seed: 2)
        let matrix = try TiledBitmap(rows: rows, columns: columns, elements: elements, valueType: .f16)
        var generator = SplitMix64(seed: 3)
        var refusals = 0
        for round in 0..<3_000 {
            var masks = Array(matrix.masks)
            var values = Array(matrix.values)
            var offsets = Array(matrix.panelOffsets)
            switch round % 3 {
            case 0: masks[.random(in: 0..<masks.count, using: &generator)] = .random(in: 0 ... .max, using: &generator)
            case 1:
                values[.random(in: 0..<values.count, using: &generator)] = .random(in: 0 ... .max, using: &generator)
            default:
                offsets[.random(in: 0..<offsets.count, using: &generator)] = .random(in: 0...1_000, using: &generator)
            }
            do throws(SparseError) {
                let damaged = try TiledBitmap(
                    rows: rows, columns: columns, masks: Storage(masks), values: Storage(values),
                    panelOffsets: Storage(offsets), valueType: .f16)
                try damaged.checkInvariants()
                #expect(damaged.nonzeroCount == matrix.nonzeroCount)
            } catch {
                refusals += 1
            }
        }
        // Every changed mask or offset shows; a changed value may still be a value.
        #expect(refusals >= 1_900)
    }

    @Test func refusesArraysOfTheWrongLength() throws {
        let matrix = try TiledBitmap(
            rows: 40, columns: 8, elements: randomMatrix(rows: 40, columns: 8, density: 0.5, valueType: .f16, seed: 4),
            valueType: .f16)
        func attempt(_ masks: Storage<UInt32>, _ values: Storage<UInt16>, _ offsets: Storage<UInt64>) throws {
            _ = try TiledBitmap(
                rows: 40, columns: 8, masks: masks, values: values, panelOffsets: offsets, valueType: .f16)
        }
        let (masks, values, offsets) = (matrix.masks, matrix.values, matrix.panelOffsets)
        try attempt(masks, values, offsets)
        #expect(throws: SparseError.self) { try attempt(masks[0..<15], values, offsets) }
        #expect(throws: SparseError.self) { try attempt(masks, values[0..<values.count - 1], offsets) }
        #expect(throws: SparseError.self) { try attempt(masks, values[0..<3], offsets) }
        #expect(throws: SparseError.self) { try attempt(masks, values, offsets[0..<2]) }
    }
}

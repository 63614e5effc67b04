import CKernels
import KernelsUnderTest
import Sparse
import Tensors
import TestSupport
import Testing

@Suite struct SlicedEllpackTests {
    static let sides = [1, 2, 13, 15, 16, 17, 31, 32, 33, 127, 128, 129, 255, 257]

    @Test(arguments: sides) func comesBackBitForBit(rows: Int) throws {
        for columns in Self.sides + [600] {
            for (seed, density) in [0, 0.005, 0.1, 0.5, 1].enumerated() {
                let elements = randomMatrix(
                    rows: rows, columns: columns, density: density, valueType: .f16, seed: UInt64(seed))
                let matrix = try SlicedEllpack(rows: rows, columns: columns, elements: elements, valueType: .f16)
                #expect(matrix.dense().elementsEqual(elements))
                try matrix.checkInvariants()
                #expect(matrix.nonzeroCount == elements.count { $0 != 0 })
                let sizes = try PackedMatrix.sizes(rows: rows, columns: columns, elements: elements, valueType: .f16)
                #expect(sizes.sizes.first { $0.format == .slicedEllpack }?.byteCount == matrix.storedByteCount)
            }
        }
    }

    @Test func keepsOddValuesAndDropsNegativeZero() throws {
        let elements = Storage<UInt16>([0x8000, 0x0001, 0x8001, 0x7BFF, 0xFBFF, 0x0000, 0x03FF, 0x3C00])
        let matrix = try SlicedEllpack(rows: 2, columns: 4, elements: elements, valueType: .f16)
        #expect(matrix.nonzeroCount == 6)
        #expect(Array(matrix.dense()) == [0, 0x0001, 0x8001, 0x7BFF, 0xFBFF, 0, 0x03FF, 0x3C00])
    }

    /// One nonzero takes an entry for every 255 columns before it.
    @Test(arguments: [0, 1, 254, 255, 256, 509, 510, 511, 765, 99_999]) func crossesWideGaps(column: Int) throws {
        let (rows, columns) = (3, 100_000)
        var elements = [UInt16](repeating: 0, count: rows * columns)
        elements[columns + column] = 0x3C00
        let matrix = try SlicedEllpack(rows: rows, columns: columns, elements: Storage(elements), valueType: .f16)
        try matrix.checkInvariants()
        #expect(matrix.values.count == 16 * max(1, (column + 254) / 255))
        #expect(matrix.laneRows.prefix(3).elementsEqual([1, 0, 2]))
        #expect(matrix.dense().elementsEqual(elements))
    }

    /// Wider than what fits the scratch memory for 16, 8 or 4 tokens.
    @Test(arguments: [16_384, 16_385, 32_769, 65_537, 100_000]) func multipliesWideMatrices(columns: Int) throws {
        let (rows, tokens) = (20, 18)
        let elements = randomMatrix(rows: rows, columns: columns, density: 0.003, valueType: .bf16, seed: 21)
        let matrix = PackedMatrix.slicedEllpack(
            try SlicedEllpack(rows: rows, columns: columns, elements: elements, valueType: .bf16))
        let input = randomActivations(tokens * columns, seed: 22)
        let expected = matrix.product(of: input, tokens: tokens, kernels: nil)
        for kernels in Kernels.underTest {
            let error = largestDifference(matrix.product(of: input, tokens: tokens, kernels: kernels), expected)
            #expect(error <= ProductTests.tolerance(columns: columns), "\(kernels.instructionSet)")
        }
    }

    /// Every output is summed in the order of the columns, so other tokens make no difference to it.
    @Test func doesNotDependOnOtherTokens() throws {
        let (rows, columns, tokens) = (150, 400, 31)
        let elements = randomMatrix(rows: rows, columns: columns, density: 0.2, valueType: .f16, seed: 23)
        let matrix = PackedMatrix.slicedEllpack(
            try SlicedEllpack(rows: rows, columns: columns, elements: elements, valueType: .f16))
        let input = randomActivations(tokens * columns, seed: 24)
        for kernels in Kernels.underTest {
            let together = matrix.product(of: input, tokens: tokens, kernels: kernels)
            for token in 0..<tokens {
                let alone = matrix.product(
                    of: Array(input[token * columns..<(token + 1) * columns]), tokens: 1, kernels: kernels)
                #expect(Array(together[token * rows..<(token + 1) * rows]) == alone, "\(kernels.instructionSet)")
            }
        }
    }

    @Test func sortsRowsByTheirLength() throws {
        let (rows, columns) = (300, 64)
        var elements = [UInt16](repeating: 0, count: rows * columns)
        for row in 0..<rows {
            for column in 0..<row * 7 % 61 { elements[row * columns + column] = 0x3C00 }
        }
        let matrix = try SlicedEllpack(rows: rows, columns: columns, elements: Storage(elements), valueType: .f16)
        for window in 0..<2 {
            let lanes = window * 128..<(window + 1) * 128
            let lengths = matrix.laneRows[lanes].map { (window * 128 + Int($0)) * 7 % 61 }
            #expect(lengths == lengths.sorted(by: >))
        }
        #expect(matrix.dense().elementsEqual(elements))
    }

    @Test(arguments: [(ElementType.f16, UInt16(0x7C00)), (.f16, 0xFE01), (.bf16, 0x7F80), (.bf16, 0xFFC1)])
    func refusesNaNAndInfinity(valueType: ElementType, bits: UInt16) {
        var elements = [UInt16](repeating: 0x3C00, count: 35)
        elements[23] = bits
        #expect(throws: SparseError.notFinite(row: 4, column: 3)) {
            try SlicedEllpack(rows: 7, columns: 5, elements: Storage(elements), valueType: valueType)
        }
    }

    @Test func encodesTheSameWithManyThreads() throws {
        let elements = randomMatrix(rows: 300, columns: 700, density: 0.03, valueType: .f16, seed: 1)
        let alone = try SlicedEllpack(rows: 300, columns: 700, elements: elements, valueType: .f16)
        let together = try SlicedEllpack(
            rows: 300, columns: 700, elements: elements, valueType: .f16, pool: WorkerPool(threadCount: 3))
        #expect(alone.deltas.elementsEqual(together.deltas))
        #expect(alone.values.elementsEqual(together.values))
        #expect(alone.sliceOffsets.elementsEqual(together.sliceOffsets))
        #expect(alone.laneRows.elementsEqual(together.laneRows))
    }
}

import CKernels
import KernelsUnderTest
import Sparse
import Tensors
import TestSupport
import Testing

@Suite struct QuantizedMatrixTests {
    static let sides = [1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 64, 129]

    /// A float32 matrix.
    private static func dense(_ elements: [Float], rows: Int) -> DenseMatrix {
        DenseMatrix(rows: rows, columns: elements.count / rows, element: .f32, bytes: Storage(elements).bytes)
    }

    private static func widened(_ elements: Storage<UInt16>) -> [Float] {
        elements.map { flash_widen_one($0, FLASH_F16) }
    }

    /// Each integer is the nearest to weight / scale; nothing but a cut is further away than half a scale.
    private static func expectNearest(_ matrix: QuantizedMatrix, _ weights: [Float], _ comment: Comment) {
        let low: Float = matrix.coding == .i16 ? -32767 : matrix.coding == .i8 ? -127 : -8
        let high: Float = matrix.coding == .i4 ? 7 : -low
        let integers = Array(matrix.integers())
        let restored = Array(matrix.dequantized())
        let wrong = weights.indices.first { index in
            let scale = matrix.scaleOf(row: index / matrix.columns, column: index % matrix.columns)
            let (weight, value) = (weights[index], Float(integers[index]))
            if scale == 0 { return weight != 0 || value != 0 }
            if !(value >= low && value <= high && restored[index] == scale * value && restored[index].isFinite) {
                return true
            }
            let exact = Double(weight) / Double(scale)
            if exact < Double(low) - 0.5 || exact > Double(high) + 0.5 { return value != (exact < 0 ? low : high) }
            // A division rounded to float32 may move a tie by 2^-24 of the quotient.
            return !(abs(exact - Double(value)) <= 0.5 + abs(exact) * 1e-7)
        }
        #expect(wrong == nil, comment)
    }

    @Test(arguments: sides) func roundsToTheNearestInteger(rows: Int) throws {
        for columns in [1, 3, 17, 34, 130] {
            for (seed, density) in [0, 0.05, 0.5, 1].enumerated() {
                let elements = randomMatrix(
                    rows: rows, columns: columns, density: density, valueType: .f16, seed: UInt64(seed))
                let weights = Self.widened(elements)
                var previous: [Int16] = []
                for matrix in try everyQuantization(rows: rows, columns: columns, elements: elements) {
                    let comment: Comment = "\(rows) x \(columns) \(matrix.coding) \(matrix.group) \(matrix.positions)"
                    try matrix.checkInvariants()
                    let integers = Array(matrix.integers())
                    // Dense positions come first, and a bitmap of the same.
                    if matrix.positions == .bitmap {
                        #expect(integers == previous, comment)
                        if density == 0 { #expect(matrix.values.count == 64, comment) }
                    } else {
                        Self.expectNearest(matrix, weights, comment)
                    }
                    previous = integers
                    #expect(matrix.countNonzeros() == integers.count { $0 != 0 }, comment)
                }
            }
        }
    }

    /// i16 cuts nothing off: its largest error is half a step of 1/32767 of the group's largest weight, whose scale is
    /// rounded up by less than 2^-7.
    @Test func sixteenBitsKeepTheLargestWeight() throws {
        let weights = randomActivations(33 * 200, seed: 3)
        for group in ScaleGroup.allCases {
            let matrix = try QuantizedMatrix(Self.dense(weights, rows: 33), coding: .i16, group: group)
            for (weight, found) in zip(weights, matrix.dequantized()) {
                #expect(abs(weight - found) <= 1.008 * 0.5 / 32767)
            }
        }
    }

    /// The searched scale is never worse than the one of the largest weight, and on random weights far better.
    @Test(arguments: [QuantizedCoding.i4, .i8]) func searchesTheScale(coding: QuantizedCoding) throws {
        let weights = randomActivations(64 * 128, seed: 4).map { $0 * $0 * $0 }
        let matrix = try QuantizedMatrix(Self.dense(weights, rows: 64), coding: coding, group: .columns32)
        var (found, plain) = (0.0, 0.0)
        let restored = Array(matrix.dequantized())
        for first in stride(from: 0, to: weights.count, by: 32) {
            let part = weights[first..<first + 32]
            let scale = part.map(abs).max()! / (coding == .i4 ? 7 : 127)
            for index in part.indices {
                let error = Double(weights[index] - scale * (weights[index] / scale).rounded(.toNearestOrEven))
                plain += error * error
                found += Double(weights[index] - restored[index]) * Double(weights[index] - restored[index])
            }
        }
        #expect(found < plain * (coding == .i4 ? 0.8 : 1))
    }

    @Test(arguments: QuantizedCoding.allCases) func keepsExtremes(coding: QuantizedCoding) throws {
        let huge = Float.greatestFiniteMagnitude, tiny = Float.leastNonzeroMagnitude
        let cases: [[Float]] = [
            [0, -0.0, 0, 0], [huge, -huge, huge / 2, 1], [-huge, 0, 0, 0], [tiny, -tiny, 0, 3 * tiny],
            [.leastNormalMagnitude, -.leastNormalMagnitude, 0, tiny], [1e-20, -2e-20, 3e-20, 0],
            [1e20, -2e20, 3e20, 0],
            [1, 1e-30, -1, 1e30], [huge, tiny, 0, -1], [65504, -65504, 6e-8, 0],
        ]
        for row in cases {
            for group in ScaleGroup.allCases {
                let weights = row + [Float](repeating: 0, count: 36) + row
                for positions in QuantizedMatrix.Positions.allCases {
                    let matrix = try QuantizedMatrix(
                        Self.dense(weights, rows: 1), coding: coding, group: group, positions: positions)
                    try matrix.checkInvariants()
                    Self.expectNearest(matrix, weights, "\(row) \(coding) \(group)")
                }
            }
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity]) func refusesNaNAndInfinity(value: Float) {
        var weights = [Float](repeating: 1, count: 40 * 7)
        weights[19 * 7 + 3] = value
        weights[30 * 7 + 1] = value
        for coding in QuantizedCoding.allCases {
            #expect(throws: SparseError.notFinite(row: 19, column: 3)) {
                try QuantizedMatrix(
                    Self.dense(weights, rows: 40), coding: coding, group: .row, pool: WorkerPool(threadCount: 2))
            }
        }
    }

    /// Files do not depend on the machine that packs, or on its threads.
    @Test func encodesTheSameEverywhere() throws {
        let elements = randomMatrix(rows: 100, columns: 210, density: 0.6, valueType: .bf16, seed: 5)
        let dense = DenseMatrix(rows: 100, columns: 210, element: .bf16, bytes: elements.bytes)
        let pool = WorkerPool(threadCount: 3)
        for coding in QuantizedCoding.allCases {
            for group in [ScaleGroup.columns64, .row] {
                let expected = try QuantizedMatrix(
                    dense, coding: coding, group: group, kernels: Kernels(instructionSet: "portable")!)
                for kernels in Kernels.underTest {
                    let found = try QuantizedMatrix(dense, coding: coding, group: group, pool: pool, kernels: kernels)
                    #expect(found.scales.elementsEqual(expected.scales), "\(kernels.instructionSet)")
                    #expect(found.values.elementsEqual(expected.values), "\(kernels.instructionSet)")
                    #expect(found.masks.map(Array.init) == expected.masks.map(Array.init))
                    #expect(found.panelOffsets.elementsEqual(expected.panelOffsets))
                }
            }
        }
    }

    @Test func takesTheSmallerPositions() throws {
        for coding in QuantizedCoding.allCases {
            for density in [0.02, 0.4, 0.6, 0.7, 0.8, 0.9, 0.97, 1] {
                let elements = randomMatrix(rows: 64, columns: 256, density: density, valueType: .f16, seed: 6)
                let dense = DenseMatrix(rows: 64, columns: 256, element: .f16, bytes: elements.bytes)
                let sizes = try QuantizedMatrix.Positions.allCases.map {
                    try QuantizedMatrix(dense, coding: coding, group: .columns128, positions: $0).storedByteCount
                }
                let found = try QuantizedMatrix(dense, coding: coding, group: .columns128)
                #expect(found.storedByteCount == sizes.min())
                if density == 1, coding != .i4 { #expect(found.positions == .dense) }
            }
        }
    }

    @Test func looksUpRows() throws {
        for columns in [1, 3, 4, 5, 30, 64, 127, 130] {
            let elements = randomMatrix(rows: 37, columns: columns, density: 0.8, valueType: .f16, seed: 7)
            for matrix in try everyQuantization(rows: 37, columns: columns, elements: elements)
            where matrix.positions == .dense {
                let expected = Array(matrix.dequantized())
                for row in [0, 1, 15, 16, 35, 36] {
                    let output = GuardedBuffer([Float](repeating: .nan, count: columns))
                    matrix.widenRow(row, into: output.pointer)
                    #expect(Array(output.elements) == Array(expected[row * columns..<(row + 1) * columns]))
                }
            }
        }
    }
}

extension QuantizedMatrix {
    /// The scale of an element, from the stored array.
    func scaleOf(row: Int, column: Int) -> Float {
        let width = group == .row ? (columns + 31) / 32 * 32 : Int(group.rawValue)!
        let index = (row / 16 * ((columns + width - 1) / width) + column / width) * 16 + row % 16
        return Float(bitPattern: UInt32(scales[index]) << 16)
    }
}

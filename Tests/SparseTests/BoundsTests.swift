import KernelsUnderTest
import Sparse
import TestSupport
import Tensors
import Testing

/// No product touches memory outside its arrays: each ends at an unreadable page.
@Suite struct BoundsTests {
    private static func guarded<Element>(_ storage: Storage<Element>) -> Storage<Element> {
        let buffer = GuardedBuffer(Array(storage))
        return Storage(pointer: buffer.pointer, count: storage.count, owner: buffer)
    }

    private static func guarded(_ matrix: PackedMatrix) throws -> PackedMatrix {
        switch matrix {
        case .dense(let dense):
            .dense(
                DenseMatrix(
                    rows: dense.rows, columns: dense.columns, element: dense.element, bytes: guarded(dense.bytes)))
        case .tiledBitmap(let bitmap):
            .tiledBitmap(
                try TiledBitmap(
                    rows: bitmap.rows, columns: bitmap.columns, masks: guarded(bitmap.masks),
                    values: guarded(bitmap.values), panelOffsets: guarded(bitmap.panelOffsets),
                    valueType: bitmap.valueType))
        case .slicedEllpack(let ellpack):
            .slicedEllpack(
                try SlicedEllpack(
                    rows: ellpack.rows, columns: ellpack.columns, deltas: guarded(ellpack.deltas),
                    values: guarded(ellpack.values), sliceOffsets: guarded(ellpack.sliceOffsets),
                    laneRows: guarded(ellpack.laneRows), valueType: ellpack.valueType))
        case .quantized(let matrix):
            .quantized(
                try QuantizedMatrix(
                    rows: matrix.rows, columns: matrix.columns, coding: matrix.coding, group: matrix.group,
                    masks: matrix.masks.map(guarded), values: guarded(matrix.values),
                    panelOffsets: guarded(matrix.panelOffsets), scales: guarded(matrix.scales)))
        case .tiledCSL(let csl):
            .tiledCSL(
                try TiledCSL(
                    rows: csl.rows, columns: csl.columns, words: guarded(csl.words),
                    tileOffsets: guarded(csl.tileOffsets), valueType: csl.valueType, checking: .tileOffsets))
        }
    }

    @Test(arguments: [(1, 1), (3, 5), (31, 17), (33, 16), (64, 64), (65, 63), (129, 65), (40, 300), (5, 2050)])
    func productsStayInside(shape: (rows: Int, columns: Int)) throws {
        let (rows, columns) = shape
        for density in [0, 0.05, 0.5, 1] {
            let elements = randomMatrix(rows: rows, columns: columns, density: density, valueType: .f16, seed: 11)
            let exact = try everyFormat(rows: rows, columns: columns, elements: elements, valueType: .f16)
            let quantized = try everyQuantization(rows: rows, columns: columns, elements: elements)
            for matrix in exact + quantized.map(PackedMatrix.quantized) {
                let matrix = try Self.guarded(matrix)
                for tokens in [1, 2, 3, 7, 8, 9, 13] {
                    let input = randomActivations(tokens * columns, seed: 12)
                    for kernels in Kernels.underTest {
                        let expected = matrix.product(of: input, tokens: tokens, kernels: kernels)
                        let guardedInput = GuardedBuffer(input)
                        let output = GuardedBuffer([Float](repeating: .nan, count: tokens * rows))
                        let scratch = AlignedBuffer<UInt8>(uninitializedCount: Kernels.scratchByteCount)
                        let activations = matrix.quantized(guardedInput.pointer, tokens: tokens, kernels: kernels)
                        matrix.multiply(
                            rows: 0..<rows,
                            Operands(
                                input: guardedInput.pointer, inputStride: columns, output: output.pointer,
                                outputStride: rows, tokens: tokens, scratch: scratch.pointer,
                                quantized: activations?.view),
                            kernels: kernels)
                        withExtendedLifetime((scratch, activations)) {
                            #expect(
                                Array(output.elements) == expected, "\(kernels.instructionSet) \(matrix.format)")
                        }
                    }
                }
            }
        }
    }

    @Test func widensRowsInside() {
        for columns in [1, 2, 7, 8, 15, 16, 17, 33] {
            let elements = randomMatrix(rows: 2, columns: columns, density: 1, valueType: .bf16, seed: 13)
            let matrix = DenseMatrix(
                rows: 2, columns: columns, element: .bf16, bytes: Self.guarded(elements.bytes))
            let expected = elements.dropFirst(columns).map { Float(bitPattern: UInt32($0) << 16) }
            for kernels in Kernels.underTest {
                let output = GuardedBuffer([Float](repeating: .nan, count: columns))
                matrix.widenRow(1, into: output.pointer, kernels: kernels)
                #expect(Array(output.elements) == expected, "\(kernels.instructionSet)")
            }
        }
    }
}

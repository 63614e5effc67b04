import CUDAKernels
import GPUCases
import Sparse
import Tensors
import Testing

/// Packed matrices below each other, as one on the GPU.
@Suite struct StackedPackedMatrixTests {
    private let first = ProductCase(rows: 40, columns: 90, tokens: 1, seed: 3)
    private let second = ProductCase(rows: 33, columns: 90, tokens: 1, seed: 4)

    private func tiledCSL(_ product: ProductCase) throws -> PackedMatrix {
        .tiledCSL(
            try TiledCSL(
                rows: product.rows, columns: product.columns, elements: product.elements, valueType: .f16))
    }

    private func dense(_ product: ProductCase) -> PackedMatrix {
        .dense(
            DenseMatrix(
                rows: product.rows, columns: product.columns, element: .f16, bytes: product.elements.bytes))
    }

    /// Of different formats the layout is chosen; those that are Tiled-CSL all stay so.
    @Test func haveTheRowsOfBoth() throws {
        try TestedGPU.run { gpu in
            for (matrices, layout) in [
                ([try tiledCSL(first), dense(second)], DeviceLayout.laneBitmap),
                ([dense(first), try tiledCSL(second)], .laneBitmap),
                ([try tiledCSL(first), try tiledCSL(second)], .tiledCSL),
            ] {
                let stacked = try DeviceMatrix(stacking: matrices, as: .f16, on: gpu.stream)
                #expect(stacked.layout == layout && stacked.rows == 73 && stacked.columns == 90)
                let found = try gpu.expansion(of: stacked)
                #expect(found == first.paddedElements + second.paddedElements)
            }
        }
    }

    /// The matrix and its own row are named.
    @Test func nameTheWeightThatDoesNotFit() throws {
        let values: [Float] = [1, 2, 1e9, 4]
        let large = PackedMatrix.dense(
            DenseMatrix(rows: 2, columns: 2, element: .f32, bytes: Storage(values).bytes))
        let small = PackedMatrix.dense(
            DenseMatrix(rows: 3, columns: 2, element: .f32, bytes: Storage([Float](repeating: 1, count: 6)).bytes))
        try TestedGPU.run { gpu in
            let error = #expect(throws: DeviceMatrixError.self) {
                try DeviceMatrix(stacking: [small, large], as: .f16, on: gpu.stream)
            }
            guard case .overflow(let weight, matrix: 1)? = error else {
                Issue.record("found \(String(describing: error))")
                return
            }
            #expect(weight.row == 1 && weight.column == 0)
        }
    }
}

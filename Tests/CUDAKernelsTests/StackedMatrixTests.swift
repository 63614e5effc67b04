import CUDA
import CUDAKernels
import GPUCases
import Testing

/// Matrices that the GPU makes out of smaller ones.
@Suite struct StackedMatrixTests {
    private static func product(_ rows: Int) -> ProductCase {
        ProductCase(rows: rows, columns: 200, tokens: 3, segmentStrips: 2, slices: 2)
    }

    /// Three copies below each other give the small matrix' result three times, and so do copies of that.
    @Test(arguments: ProductCase.Weights.allCases)
    func stackedMatricesRepeatResults(weights: ProductCase.Weights) throws {
        let product = Self.product(128)
        try TestedGPU.run { gpu in
            let once = try product.result(weights, on: gpu)
            for isCopied in [false, true] {
                let result = try product.result(weights, on: gpu) { matrix in
                    let stacked = try matrix.stacked(3, on: gpu.stream)
                    #expect(stacked.rows == 384)
                    return isCopied ? try stacked.copy(on: gpu.stream) : stacked
                }
                let repeated = (0..<3).flatMap { token in
                    (0..<3).flatMap { _ in once[token * 128..<token * 128 + 128] }
                }
                #expect(result == repeated)
            }
        }
    }

    /// A matrix of any rows may be stacked once.
    @Test(arguments: ProductCase.Weights.allCases) func oneCopyIsTheMatrix(weights: ProductCase.Weights) throws {
        let product = Self.product(35)
        try TestedGPU.run { gpu in
            let expected = try product.result(weights, on: gpu)
            let result = try product.result(weights, on: gpu) { try $0.stacked(1, on: gpu.stream) }
            #expect(result == expected)
        }
    }
}

import CUDA
import CUDAKernels
import GPUCases
import Testing

/// Matrices that the GPU makes out of smaller ones.
@Suite struct StackedMatrixTests {
    private static func product(_ rows: Int) -> ProductCase {
        ProductCase(rows: rows, columns: 200, tokens: 3, blocks: 3)
    }

    /// Three copies below each other give the small matrix' result three times, but for the order of additions, and so
    /// do copies of that.
    @Test(arguments: ProductCase.Weights.allCases)
    func stackedMatricesRepeatResults(weights: ProductCase.Weights) throws {
        let product = Self.product(128)
        try TestedGPU.run { gpu in
            for isCopied in [false, true] {
                let result = try product.result(weights, on: gpu) { matrix in
                    let stacked = try matrix.stacked(3, on: gpu.stream)
                    #expect(stacked.rows == 384)
                    return isCopied ? try stacked.copy(on: gpu.stream) : stacked
                }
                for copy in 0..<3 {
                    let part = (0..<3).flatMap { token in
                        let first = token * 384 + copy * 128
                        return result[first..<first + 128]
                    }
                    #expect(product.largestError(part) <= 1)
                }
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

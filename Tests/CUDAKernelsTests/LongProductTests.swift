import CUDAKernels
import GPUCases
import Testing

/// Weights expanded to memory, and products of many tokens with them.
@Suite(.serialized) struct LongProductTests {
    private static let layouts = DeviceLayout.allCases.filter { $0 != .dense }

    @Test(arguments: layouts) func expandsToTheDenseMatrix(layout: DeviceLayout) throws {
        try TestedGPU.run { gpu in
            for product in ProductCases.shapes + ProductCases.densities {
                let found = try product.expansion(layout, on: gpu)
                #expect(found == product.paddedElements, "\(product)")
            }
        }
    }

    /// Many tokens go to the library, few do not, and both give the same.
    @Test(arguments: DeviceLayout.allCases) func manyTokensAreDenseProducts(layout: DeviceLayout) throws {
        for product in ProductCases.long {
            try TestedGPU.run { gpu in
                let long = try LongProducts(
                    gpu.products, cublas: { try? CUBLAS(table: LibraryFakes.cublas, on: $0) }, on: gpu.stream)
                let found = try product.result(layout, on: gpu) { matrix, operands in
                    try long.enqueue(matrix, operands, workspace: gpu.workspace)
                }
                // Tensor cores have had to do nothing if the library did.
                let isDense = product.tokens >= LongProducts.leastTokens
                #expect((TestedGPU.statistics.matrix_products == 0) == isDense)
                #expect(product.expected.largestError(found) <= 1, "\(product)")
            }
        }
    }
}

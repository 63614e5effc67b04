import CUDA
import CUDAKernels
import GPUCases
import Tensors
import Testing

/// Weights expanded to memory, and products of many tokens with them.
@Suite(.serialized) struct LongProductTests {
    private static let layouts = DeviceLayout.allCases.filter { $0 != .dense }

    @Test(arguments: layouts) func expandsToTheDenseMatrix(layout: DeviceLayout) throws {
        try TestedGPU.run { gpu in
            for product in ProductCases.shapes + ProductCases.densities {
                let matrix = try product.matrix(layout, on: gpu.stream)
                let dense = try product.matrix(.dense, on: gpu.stream)
                let count = dense.storedByteCount / 2
                let target = try DeviceBuffer(byteCount: 2 * count, in: gpu.stream.context)
                try target.enqueueFill(0xFF, on: gpu.stream)
                try gpu.products.enqueueExpansion(of: matrix, to: target.address, on: gpu.stream)
                let found = try target.read(UInt16.self, count: count, on: gpu.stream)
                #expect(found == product.paddedElements, "\(product)")
            }
        }
    }

    /// Many tokens go to the library, few do not, and both give the same.
    @Test(arguments: DeviceLayout.allCases, [ProductOutput.f32, .sixteenBit, .addF32])
    func manyTokensAreDenseProducts(layout: DeviceLayout, output: ProductOutput) throws {
        for tokens in [LongProducts.leastTokens - 1, LongProducts.leastTokens] {
            let product = ProductCase(rows: 40, columns: 90, tokens: tokens, outputType: output)
            try TestedGPU.run { gpu in
                let long = try LongProducts(
                    gpu.products, cublas: { try? CUBLAS(table: LibraryFakes.cublas, on: $0) }, on: gpu.stream)
                let launches = TestedGPU.statistics.matrix_products
                let plain = try product.result(layout, on: gpu)
                let own = TestedGPU.statistics.matrix_products - launches
                let found = try product.result(layout, on: gpu) { matrix, operands in
                    try long.enqueue(matrix, operands, workspace: gpu.workspace)
                }
                // Tensor cores have had to do nothing if the library did.
                let isDense = tokens >= LongProducts.leastTokens
                let again = TestedGPU.statistics.matrix_products - launches - own
                #expect(again == (isDense ? 0 : own))
                for (index, value) in found.enumerated() {
                    #expect(abs(value - plain[index]) <= 1e-3 * (1 + abs(value)))
                }
            }
        }
    }
}

import ArgumentParser
import CUDAKernels
import GPUCases

/// Weights expanded to memory, element by element, and products of many tokens by cuBLAS against double precision.
struct LongProductsCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "long-products", abstract: "Compare expanded weights, and products of many tokens by cuBLAS.")

    @OptionGroup var options: CheckOptions

    /// As our own products' on a GPU; f32 sums in another order.
    private static let errorLimit = 2.0

    func run() throws {
        let products = ProductCases.long + (options.emulate ? [] : ProductCases.large)
        var failures: [String] = []
        var largest = 0.0
        var cases = 0
        try TestedGPU.run(on: options.place) { gpu in
            let cublas =
                try options.emulate
                ? CUBLAS(table: LibraryFakes.cublas, on: gpu.stream) : CUBLAS.load(on: gpu.stream)
            // Products of few tokens go that way, too.
            let long = try LongProducts(gpu.products, cublas: { _ in cublas }, on: gpu.stream, leastTokens: 1)
            for product in products {
                let (dense, expected) = (product.paddedElements, product.expected)
                for layout in DeviceLayout.allCases {
                    cases += 1
                    let description = "\(layout.rawValue) \(product)"
                    if layout != .dense, try product.expansion(layout, on: gpu) != dense {
                        failures.append("\(description): expanded to another matrix")
                    }
                    let found = try product.result(layout, on: gpu) { matrix, operands in
                        try long.enqueue(matrix, operands, workspace: gpu.workspace)
                    }
                    let error = expected.largestError(found)
                    if !(error <= largest) { largest = error }
                    if !(error <= Self.errorLimit) {
                        failures.append("\(description): error \(error), allowed are \(Self.errorLimit)")
                    }
                }
            }
        }
        try options.finish(
            "long products", cases: cases, failures: failures, figures: ["largest_error": .number(largest)])
    }
}

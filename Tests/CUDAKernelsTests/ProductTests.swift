import CUDAEmulator
import CUDAKernels
import GPUCases
import Testing

@Suite struct ProductTests {
    typealias Weights = ProductCase.Weights

    private func expectMatches(_ products: [ProductCase], _ weights: Weights) throws {
        try TestedGPU.run { gpu in
            for product in products {
                let result = try product.result(weights, on: gpu)
                #expect(product.largestError(result) <= 1, "\(product)")
            }
        }
    }

    @Test(arguments: Weights.allCases) func everyShapeMatchesTheReference(weights: Weights) throws {
        try expectMatches(ProductCases.shapes, weights)
    }

    @Test(arguments: Weights.allCases) func everyDensityMatchesTheReference(weights: Weights) throws {
        try expectMatches(ProductCases.densities, weights)
    }

    @Test(arguments: Weights.allCases) func everyNumberOfTokensMatchesTheReference(weights: Weights) throws {
        try expectMatches(ProductCases.tokens, weights)
    }

    @Test(arguments: Weights.allCases) func slicesAddUp(weights: Weights) throws {
        try expectMatches(ProductCases.slices, weights)
    }

    @Test(arguments: Weights.allCases) func everyTypeMatchesTheReference(weights: Weights) throws {
        try expectMatches(ProductCases.types, weights)
    }

    /// Whatever the order in which threads run and copies land.
    @Test(arguments: Weights.allCases) func theScheduleChangesNothing(weights: Weights) throws {
        let product = ProductCase(rows: 70, columns: 330, tokens: 12, segmentStrips: 2, slices: 3)
        let expected = try TestedGPU.run { try product.result(weights, on: $0) }
        #expect(product.largestError(expected) <= 1)
        for seed in 1...4 as ClosedRange<UInt64> {
            for timing in [FLASH_EMULATOR_LAZY, FLASH_EMULATOR_EAGER, FLASH_EMULATOR_RANDOM] {
                let place = TestedGPU.Place.emulator(seed: seed, timing: timing)
                let result = try TestedGPU.run(on: place) { try product.result(weights, on: $0) }
                #expect(result == expected, "seed \(seed), timing \(timing)")
            }
        }
    }

    /// A lane's run stays on a bank or two: in the order of addresses a store took 3.4 turns of the shared memory.
    @Test(arguments: [(0.5, Weights.gaps3), (0.3, .gaps4), (0.2, .gaps5), (0.1, .gaps5)])
    func runsSpreadOverTheBanks(density: Double, weights: Weights) throws {
        let product = ProductCase(rows: 64, columns: 1_024, tokens: 1, density: density, segmentStrips: 16, slices: 1)
        try TestedGPU.run { gpu in
            _ = try product.result(weights, on: gpu)
            let statistics = TestedGPU.statistics
            let values = Double(64 * 1_024) * density / 32
            #expect(Double(statistics.extra_wavefronts) < 1.6 * values)
        }
    }
}

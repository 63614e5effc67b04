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

    @Test(arguments: Weights.allCases) func sharesAddUp(weights: Weights) throws {
        try expectMatches(ProductCases.shares, weights)
    }

    @Test(arguments: Weights.allCases) func slicesAddUp(weights: Weights) throws {
        try expectMatches(ProductCases.slices, weights)
    }

    @Test(arguments: Weights.allCases) func everyTypeMatchesTheReference(weights: Weights) throws {
        try expectMatches(ProductCases.types, weights)
    }

    /// Whatever the order in which threads run and copies land.
    @Test(arguments: Weights.allCases) func theScheduleChangesNothing(weights: Weights) throws {
        let product = ProductCase(rows: 70, columns: 330, tokens: 12, blocks: 4)
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

    /// A multiprocessor of compute capability 8.9 has 100 KB of shared memory, less than half of what larger ones have.
    @Test(arguments: Weights.allCases) func littleSharedMemoryIsEnough(weights: Weights) throws {
        let place = TestedGPU.Place.emulator(seed: 3, timing: FLASH_EMULATOR_RANDOM, capability: .ada)
        try TestedGPU.run(on: place) { gpu in
            for product in ProductCases.tokens + ProductCases.densities {
                let result = try product.result(weights, on: gpu)
                #expect(product.largestError(result) <= 1, "\(product)")
            }
        }
    }

    /// The 32 lanes of a store go to random banks, which would take 2.5 turns more than one each, but for the order in
    /// which the host puts a lane's nonzeros.
    @Test(arguments: [0.5, 0.3, 0.2, 0.1]) func storesSpreadOverTheBanks(density: Double) throws {
        let product = ProductCase(rows: 64, columns: 1_024, tokens: 1, density: density, blocks: 1)
        try TestedGPU.run { gpu in
            _ = try product.result(.laneStream, on: gpu)
            let statistics = TestedGPU.statistics
            let stores = Double(64 * 1_024) * density / 32
            #expect(Double(statistics.extra_wavefronts) < 2.1 * stores)
        }
    }
}

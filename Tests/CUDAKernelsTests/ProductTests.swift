import CUDAEmulator
import CUDAKernels
import Tensors
import Testing

@Suite struct ProductTests {
    typealias Weights = ProductCase.Weights

    /// Rows and columns around the sides of tiles, panels, strips and vectors.
    static let shapes = [
        (1, 1), (1, 64), (15, 7), (16, 8), (17, 9), (31, 63), (33, 65), (100, 128), (127, 129), (128, 64), (129, 200),
        (257, 72),
    ]

    @Test(arguments: Weights.allCases) func everyShapeMatchesTheReference(weights: Weights) throws {
        try EmulatedGPU.run { gpu in
            for (index, (rows, columns)) in Self.shapes.enumerated() {
                let product = ProductCase(rows: rows, columns: columns, tokens: 1 + index % 9, seed: UInt64(index))
                let result = try product.result(weights, on: gpu)
                #expect(product.largestError(result) <= 1, "\(product)")
            }
        }
    }

    @Test(arguments: Weights.allCases) func everyDensityMatchesTheReference(weights: Weights) throws {
        try EmulatedGPU.run { gpu in
            for (index, density) in [0, 0.003, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1].enumerated() {
                let product = ProductCase(
                    rows: 40, columns: 600, tokens: 5, density: density, segmentStrips: 5, seed: UInt64(index))
                let result = try product.result(weights, on: gpu)
                #expect(product.largestError(result) <= 1, "\(product)")
            }
        }
    }

    @Test(arguments: Weights.allCases) func everyNumberOfTokensMatchesTheReference(weights: Weights) throws {
        try EmulatedGPU.run { gpu in
            for tokens in [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 130] {
                let product = ProductCase(rows: 20, columns: 70, tokens: tokens, seed: UInt64(tokens))
                let result = try product.result(weights, on: gpu)
                #expect(product.largestError(result) <= 1, "\(product)")
            }
        }
    }

    @Test(arguments: Weights.allCases) func slicesAddUp(weights: Weights) throws {
        try EmulatedGPU.run { gpu in
            for slices in [1, 2, 3, 4, 7] {
                let product = ProductCase(
                    rows: 130, columns: 64 * 13 + 5, tokens: 9, segmentStrips: 2, slices: slices, seed: 7)
                let result = try product.result(weights, on: gpu)
                #expect(product.largestError(result) <= 1, "\(product)")
            }
        }
    }

    @Test(arguments: Weights.allCases, [ElementType.f16, .bf16])
    func everyTypeMatchesTheReference(weights: Weights, valueType: ElementType) throws {
        try EmulatedGPU.run { gpu in
            for outputType in [ProductOutput.f32, .sixteenBit] {
                let product = ProductCase(
                    rows: 35, columns: 190, tokens: 10, valueType: valueType, outputType: outputType, slices: 2)
                let result = try product.result(weights, on: gpu)
                #expect(product.largestError(result) <= 1, "\(product)")
            }
        }
    }

    /// Whatever the order in which threads run and copies land.
    @Test(arguments: Weights.allCases) func theScheduleChangesNothing(weights: Weights) throws {
        let product = ProductCase(rows: 70, columns: 330, tokens: 12, segmentStrips: 2, slices: 3)
        let expected = try EmulatedGPU.run { try product.result(weights, on: $0) }
        #expect(product.largestError(expected) <= 1)
        for seed in 1...4 as ClosedRange<UInt64> {
            for timing in [FLASH_EMULATOR_LAZY, FLASH_EMULATOR_EAGER, FLASH_EMULATOR_RANDOM] {
                let result = try EmulatedGPU.run(seed: seed, timing: timing) { try product.result(weights, on: $0) }
                #expect(result == expected, "seed \(seed), timing \(timing)")
            }
        }
    }

    /// A lane's run stays on a bank or two: in the order of addresses a store took 3.4 turns of the shared memory.
    @Test(arguments: [(0.5, Weights.gaps3), (0.3, .gaps4), (0.2, .gaps5), (0.1, .gaps5)])
    func runsSpreadOverTheBanks(density: Double, weights: Weights) throws {
        let product = ProductCase(rows: 64, columns: 1_024, tokens: 1, density: density, segmentStrips: 16, slices: 1)
        try EmulatedGPU.run { gpu in
            _ = try product.result(weights, on: gpu)
            let statistics = EmulatedGPU.statistics
            let values = Double(64 * 1_024) * density / 32
            #expect(Double(statistics.extra_wavefronts) < 1.6 * values)
        }
    }
}

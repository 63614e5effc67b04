import CCUDA
import CUDAEmulator
import TestSupport
import Testing

/// Kernels as they are written for a GPU, from copy to tensor core.
@Suite struct ProductTests {
    private static func random(count: Int, seed: UInt64) -> [Float16] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in Float16(Float.random(in: -1...1, using: &generator)) }
    }

    @Test func probeAdds() throws {
        try EmulatedDevice.withDevice { device in
            let input = (0..<1000).map { UInt32($0 * $0) }
            let parameters = flash_gpu_probe(
                input: try device.copy(input), output: try device.allocate(bytes: 4000), count: 1000, addend: 42)
            try device.launch("probe_add", grid: (8, 1), threads: 128, parameters)
            let output = try device.read(parameters.output, count: 1000, as: UInt32(0))
            #expect(output == input.map { $0 + 42 })
        }
    }

    @Test(arguments: [0, 1, 2, 3], [FLASH_EMULATOR_LAZY, FLASH_EMULATOR_EAGER, FLASH_EMULATOR_RANDOM])
    func pipelineIsRightInEverySchedule(seed: UInt64, timing: flash_emulator_timing) throws {
        let rows = 128, tokens = 64, depth = 192
        let weights = Self.random(count: rows * depth, seed: 1), input = Self.random(count: tokens * depth, seed: 2)
        try EmulatedDevice.withDevice(seed: seed, timing: timing) { device in
            let parameters = flash_gpu_dense_product(
                weights: try device.copy(weights), input: try device.copy(input),
                output: try device.allocate(bytes: rows * tokens * 4), rows: UInt32(rows), tokens: UInt32(tokens),
                depth: UInt32(depth), padding: 0)
            try device.launch("test_product", grid: (2, 2), threads: 128, sharedBytes: 24576, parameters)
            let output = try device.read(parameters.output, count: rows * tokens, as: Float(0))
            for row in 0..<rows {
                for token in 0..<tokens {
                    let expected = (0..<depth).reduce(0.0) {
                        $0 + Double(weights[row * depth + $1]) * Double(input[token * depth + $1])
                    }
                    let error = abs(Double(output[row * tokens + token]) - expected)
                    #expect(error <= 1e-5, "row \(row), token \(token)")
                    if !(error <= 1e-5) { return }
                }
            }
            let statistics = EmulatedDevice.statistics
            #expect(statistics.extra_wavefronts == 0, "\(EmulatedDevice.conflicts)")
            #expect(statistics.matrix_products == UInt64(rows * tokens * depth / (16 * 8 * 16) * 32))
            #expect(statistics.bytes_copied_asynchronously == UInt64((2 * rows * depth + 2 * tokens * depth) * 2))
        }
    }
}

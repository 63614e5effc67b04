import CUDAEmulator
import Testing

/// Conflicts of banks, counted as a GPU's profiler does: turns beyond the fewest possible.
@Suite struct BankConflictTests {
    private static func wavefronts(_ kernel: String, distance: Int, choice: Int = 0, seed: UInt64 = 0) throws -> UInt64
    {
        try EmulatedDevice.withDevice(seed: seed) { device in
            let parameters = flash_gpu_functions(
                a: 0, b: 0, c: 0, output: 0, count: UInt32(distance), choice: UInt32(choice))
            try device.launch(kernel, threads: 32, sharedBytes: 16384, parameters)
            let statistics = EmulatedDevice.statistics
            #expect(statistics.extra_wavefronts == 0 || EmulatedDevice.conflicts.hasPrefix("functions.cu:"))
            return statistics.extra_wavefronts
        }
    }

    /// Words at a distance of 4, 8, ... bytes: as many lanes meet on a bank as the distance in words has factors of 2.
    @Test(arguments: [(4, 0), (8, 1), (12, 0), (16, 3), (64, 15), (128, 31), (132, 0)])
    func wordsMeet(distance: Int, expected: UInt64) throws {
        #expect(try Self.wavefronts("test_conflicts", distance: distance) == expected)
        #expect(try Self.wavefronts("test_divergent_conflicts", distance: distance, seed: 3) == expected)
    }

    /// 8 bytes go half a warp at a time, 16 bytes a quarter.
    @Test func vectorsMeetWithinTheirPart() throws {
        #expect(try Self.wavefronts("test_conflicts", distance: 8, choice: 1) == 0)
        #expect(try Self.wavefronts("test_conflicts", distance: 16, choice: 1) == 2)
        #expect(try Self.wavefronts("test_conflicts", distance: 128, choice: 1) == 30)
        #expect(try Self.wavefronts("test_conflicts", distance: 16, choice: 2) == 0)
        #expect(try Self.wavefronts("test_conflicts", distance: 32, choice: 2) == 4)
        #expect(try Self.wavefronts("test_conflicts", distance: 144, choice: 2) == 0)
        #expect(try Self.wavefronts("test_conflicts", distance: 128, choice: 2) == 28)
    }
}

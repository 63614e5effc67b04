import CCUDA
import CUDAEmulator
import Testing

/// Kernels with one mistake each (planted.cu): found in every schedule, and their right twins pass in all of them.
@Suite struct PlantedMistakeTests {
    struct Mistake: CustomTestStringConvertible {
        let kernel: String
        let code: CUresult
        /// What the report must say.
        let texts: [String]
        var testDescription: String { kernel }

        init(_ kernel: String, _ code: CUresult, _ texts: String...) {
            self.kernel = "planted_" + kernel
            self.code = code
            self.texts = texts
        }
    }

    static let mistakes = [
        // Whoever comes first, the second one is found: a reader that comes first finds nothing written.
        Mistake("barrier_before_reading", 719, "reads byte "),
        Mistake("barrier_before_writing", 719, "race in shared memory: ", "at line ", "no barrier between"),
        Mistake("warp_barrier", 719, "race in shared memory: reads byte", "wrote at line ", "no barrier between"),
        Mistake("warp_barrier_for_block", 719, "reads byte "),
        Mistake("same_word", 719, "race in shared memory: writes byte", "wrote at line ", "no barrier between"),
        Mistake("matrix_barrier", 719, "race in shared memory: "),
        Mistake("copy_wait", 719, "reads byte", "while a copy is under way", "has not waited"),
        Mistake("copy_wait_too_few", 719, "reads byte", "while a copy is under way", "has not waited"),
        Mistake("copy_commit", 719, "reads byte", "while a copy is under way", "has not waited"),
        Mistake("copy_barrier", 719, "reads byte"),
        Mistake("copy_too_early", 719, "race in shared memory: "),
        Mistake("read_out_of_bounds", 700, "thread 63,", "reads 4 bytes at byte 256 of an allocation of 256 bytes"),
        Mistake("write_out_of_bounds", 700, "thread 0,", "writes 4 bytes", "out of bounds"),
        Mistake("copy_out_of_bounds", 700, "thread 15,", "reads 16 bytes at byte 256 of an allocation of 256 bytes"),
        Mistake("shared_out_of_bounds", 700, "writes 4 bytes at byte 1", "of 1024 bytes of shared memory"),
        Mistake("matrix_out_of_bounds", 700, "thread ", "loads a matrix's row of 16 bytes at byte 1024 of 1024 bytes"),
        Mistake("global_misaligned", 716, "reads 16 bytes at byte", "misaligned"),
        Mistake("shared_misaligned", 716, "writes 16 bytes of shared memory at byte", "misaligned"),
        Mistake("shared_unwritten", 719, "thread 23,", "reads byte 160 of shared memory, which was never written"),
        Mistake("global_unwritten", 719, "reads 4 bytes at byte", "never written"),
        Mistake("divergent_shuffle", 719, "divergent warp: ", "shuffle_up", "shuffle_xor"),
        Mistake("half_a_warp", 719, "its whole warp"),
        Mistake(
            "deadlock", 719, "deadlock: no thread can go on", "threads 0...15 wait at shuffle_xor, line",
            "threads 16...31 wait at block_barrier, line"),
        Mistake(
            "lone_lane", 719, "deadlock: no thread can go on", "wait at warp, line", "wait at block_barrier, line"),
        Mistake("divergent_barrier", 719, "divergent barrier: thread"),
        Mistake("endless_loop", 719, "waits in a loop"),
    ]

    private static let schedules: [(UInt64, flash_emulator_timing)] = [
        (0, FLASH_EMULATOR_LAZY), (0, FLASH_EMULATOR_EAGER), (1, FLASH_EMULATOR_RANDOM), (2, FLASH_EMULATOR_LAZY),
        (3, FLASH_EMULATOR_EAGER), (4, FLASH_EMULATOR_RANDOM), (5, FLASH_EMULATOR_RANDOM),
    ]

    private static func run(_ mistake: Mistake, isWrong: Bool, _ device: EmulatedDevice) throws {
        let parameters = flash_gpu_planted(
            input: try device.copy((0..<64).map { UInt32(1000 + $0) }), output: try device.allocate(bytes: 256),
            count: 64, is_wrong: isWrong ? 1 : 0)
        try device.launch(mistake.kernel, threads: 64, sharedBytes: 1024, parameters)
    }

    @Test(arguments: mistakes) func isFoundInEverySchedule(mistake: Mistake) throws {
        for (seed, timing) in Self.schedules {
            try EmulatedDevice.withDevice(seed: seed, timing: timing) { device in
                let failure = #expect(throws: EmulatedDevice.Failure.self) {
                    try Self.run(mistake, isWrong: true, device)
                }
                let report = failure?.report ?? ""
                #expect(failure?.code == mistake.code)
                for text in [mistake.kernel, "block (0, 0, 0)"] + mistake.texts {
                    #expect(report.contains(text), "seed \(seed): \(text) in \(report)")
                }
                // As on a device, everything fails from then on.
                #expect(device.driver.cuCtxSynchronize() == mistake.code)
            }
        }
    }

    @Test(arguments: mistakes) func isNotFoundInTheRightTwin(mistake: Mistake) throws {
        for (seed, timing) in Self.schedules {
            try EmulatedDevice.withDevice(seed: seed, timing: timing) { device in
                #expect(throws: Never.self, "seed \(seed)") { try Self.run(mistake, isWrong: false, device) }
            }
        }
    }

    @Test func freedMemoryIsKnown() throws {
        try EmulatedDevice.withDevice { device in
            let input = try device.copy([UInt32](repeating: 1, count: 64))
            let output = try device.allocate(bytes: 256)
            try EmulatedDevice.check(device.driver.cuMemFree_v2(input))
            _ = try device.copy([UInt32](repeating: 2, count: 64))
            let parameters = flash_gpu_planted(input: input, output: output, count: 64, is_wrong: 0)
            let failure = #expect(throws: EmulatedDevice.Failure.self) {
                try device.launch("planted_read_out_of_bounds", threads: 64, parameters)
            }
            #expect(failure?.code == 700)
            #expect(failure?.report.contains("of an allocation of 256 bytes that was freed") == true)
        }
    }

    @Test func hostMemoryIsNotTheDevices() throws {
        try EmulatedDevice.withDevice { device in
            let output = try device.allocate(bytes: 256)
            let host = [UInt32](repeating: 1, count: 64)
            let failure = host.withUnsafeBytes { bytes in
                let address = CUdeviceptr(UInt(bitPattern: bytes.baseAddress))
                let parameters = flash_gpu_planted(input: address, output: output, count: 64, is_wrong: 0)
                return #expect(throws: EmulatedDevice.Failure.self) {
                    try device.launch("planted_read_out_of_bounds", threads: 64, parameters)
                }
            }
            #expect(failure?.report.contains("which is not device memory") == true)
        }
    }

    @Test func copiesReachOnlyWhatIsAllocated() throws {
        try EmulatedDevice.withDevice { device in
            let pointer = try device.allocate(bytes: 100)
            let bytes = [UInt8](repeating: 0, count: 101)
            #expect(device.driver.cuMemcpyHtoDAsync_v2(pointer, bytes, 100, nil) == 0)
            #expect(device.driver.cuMemcpyHtoDAsync_v2(pointer, bytes, 101, nil) == 1)
            #expect(device.driver.cuMemcpyHtoDAsync_v2(pointer + 100, bytes, 1, nil) == 1)
            #expect(device.driver.cuMemsetD8Async(pointer + 1, 7, 100, nil) == 1)
            #expect(EmulatedDevice.report.contains("100 bytes at byte 1 of an allocation of 100 bytes"))
        }
    }
}

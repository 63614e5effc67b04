import CUDAEmulator
import CUDAKernels
import GPUCases
import Tensors
import Testing

/// Attention against double precision, for prompts, for decoding and for both in one batch.
@Suite struct AttentionTests {
    private static func geometry(_ cacheHeads: Int, _ group: Int, _ headSize: Int) -> AttentionGeometry {
        AttentionGeometry(cacheHeads: cacheHeads, group: group, headSize: headSize)
    }

    private static func check(_ attention: AttentionCase, seed: UInt64 = 0) throws {
        try TestedGPU.run(on: .emulator(seed: seed)) { gpu in
            let error = attention.largestError(try attention.result(on: gpu))
            #expect(error <= 1, "\(attention)")
        }
    }

    /// Those of one instance of a kernel, of none that is a multiple of 16, and the largest.
    static let headSizes = [2, 10, 16, 30, 32, 48, 64, 80, 96, 100, 112, 128, 130, 192, 256]

    @Test(arguments: headSizes) func everyHeadSizeMatchesTheReference(headSize: Int) throws {
        try Self.check(
            AttentionCase(
                geometry: Self.geometry(1, 2, headSize), sequences: [(0, 35), (70, 1)], seed: UInt64(headSize)))
    }

    @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 16, 17, 32, 64]) func everyGroupMatchesTheReference(group: Int) throws {
        try Self.check(
            AttentionCase(
                geometry: Self.geometry(2, group, 16), sequences: [(0, 1), (3, 1), (20, 7), (130, 1)],
                outputType: group % 2 == 0 ? .f16 : .bf16, seed: UInt64(group)))
    }

    /// Around the sides of blocks and tiles.
    @Test(arguments: [1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129]) func everyLengthMatches(tokens: Int) throws
    {
        let geometry = Self.geometry(1, 1, 16)
        try Self.check(
            AttentionCase(geometry: geometry, sequences: [(0, tokens), (tokens - 1, 1)], seed: UInt64(tokens)))
        try Self.check(AttentionCase(geometry: geometry, sequences: [(tokens, 19)], seed: UInt64(tokens)), seed: 5)
    }

    /// Contexts in several parts, which are joined.
    @Test(arguments: [2, 3, 5, 100]) func partsAddUp(wantedBlocks: Int) throws {
        for context in [64, 65, 127, 200, 300] {
            let attention = AttentionCase(
                geometry: Self.geometry(2, 2, 32), sequences: [(context, 1), (10, 2), (context, 40)],
                wantedBlocks: wantedBlocks * 6, spread: 6, seed: UInt64(context))
            #expect(attention.schedule.slotCount > 0 || context == 64)
            try TestedGPU.run(on: .emulator(seed: UInt64(wantedBlocks))) { gpu in
                let error = attention.largestError(try attention.result(on: gpu, repeats: 2))
                #expect(error <= 1, "\(attention)")
            }
        }
    }

    /// Windows of every kind: inside a tile, of whole tiles, longer than the context; parts that lie before them.
    @Test(arguments: [1, 2, 15, 16, 17, 40, 64, 65, 129, 1000]) func windowsHideWhatIsBefore(window: Int) throws {
        for wantedBlocks in [1, 60] {
            var attention = AttentionCase(
                geometry: Self.geometry(2, 2, 32), sequences: [(0, 150), (200, 1), (300, 40), (10, 2)],
                wantedBlocks: wantedBlocks, seed: UInt64(window))
            attention.window = window
            try Self.check(attention, seed: UInt64(wantedBlocks))
        }
    }

    /// Scores of another scale, kept below a bound that most of them, or few, come near.
    @Test(arguments: [0.3, 2, 50] as [Float]) func capsMatchTheReference(cap: Float) throws {
        for wantedBlocks in [1, 60] {
            var attention = AttentionCase(
                geometry: Self.geometry(2, 2, 32), sequences: [(0, 50), (200, 1)], wantedBlocks: wantedBlocks,
                spread: 6, seed: 9)
            (attention.scale, attention.cap) = (0.4, cap)
            try Self.check(attention)
            let capped = try TestedGPU.run { try attention.result(on: $0) }
            attention.cap = nil
            #expect(attention.largestError(capped) > 1, "a cap of \(cap) must show")
            try Self.check(attention)
        }
    }

    /// Tasks that were cut for a longer context, as recorded graphs have them.
    @Test func emptyPartsDoNothing() throws {
        var attention = AttentionCase(
            geometry: Self.geometry(2, 4, 16), sequences: [(3, 1), (63, 1), (64, 1), (400, 1)], wantedBlocks: 64)
        attention.context = 512
        #expect(attention.schedule.decodeTasks > 4 && attention.schedule.decodeTasks % 4 == 0)
        try Self.check(attention)
    }

    /// One weight outweighs all others, and the largest score moves.
    @Test func sharpWeightsMatchTheReference() throws {
        for spread in [0, 30, 300] as [Float] {
            try Self.check(
                AttentionCase(
                    geometry: Self.geometry(1, 2, 64), sequences: [(100, 1), (90, 30)], wantedBlocks: 16, spread: spread
                ))
        }
    }

    @Test func theScheduleOfThreadsChangesNothing() throws {
        let attention = AttentionCase(
            geometry: Self.geometry(2, 2, 32), sequences: [(140, 1), (50, 40)], wantedBlocks: 30)
        let expected = try TestedGPU.run { try attention.result(on: $0) }
        #expect(attention.largestError(expected) <= 1)
        for seed in 1...3 as ClosedRange<UInt64> {
            for timing in [FLASH_EMULATOR_LAZY, FLASH_EMULATOR_EAGER, FLASH_EMULATOR_RANDOM] {
                let result = try TestedGPU.run(on: .emulator(seed: seed, timing: timing)) {
                    try attention.result(on: $0)
                }
                #expect(result == expected, "seed \(seed), timing \(timing)")
            }
        }
    }

    /// Rows lie apart so that neither matrices nor joins meet conflicts of banks.
    @Test(arguments: [64, 128]) func sharedMemoryMeetsNoConflicts(headSize: Int) throws {
        for sequences in [[(past: 200, tokens: 1)], [(past: 0, tokens: 64)]] {
            try TestedGPU.run { gpu in
                let attention = AttentionCase(geometry: Self.geometry(1, 4, headSize), sequences: sequences)
                _ = try attention.result(on: gpu)
                #expect(TestedGPU.conflicts == "")
            }
        }
    }
}

import Testing

@testable import CUDAKernels

@Suite struct ProductGridTests {
    /// What 132 multiprocessors run at once.
    private let concurrent = 264

    private func grid(
        _ rows: Int, _ columns: Int, slices: Int = 1, tokens: Int = 8, isBandwidthBound: Bool = false,
        blocks: Int? = nil
    ) -> ProductGrid {
        ProductGrid(
            rows: rows, columns: columns, tokens: tokens, blockRows: 256 / slices, blockTokens: 8,
            concurrentBlocks: concurrent, isBandwidthBound: isBandwidthBound, slices: slices, blocks: blocks)
    }

    @Test func fillsTheGPU() {
        #expect(grid(28_672, 7_168).blocks == 264)
        #expect(grid(28_672, 7_168, tokens: 32).blocks == 66)
        #expect(grid(28_672, 7_168, tokens: 32).tokenBlocks == 4)
    }

    /// Shares are whole fractions of row blocks where that leaves at most a twentieth of the GPU idle.
    @Test func alignsSharesWhereItCostsLittle() {
        #expect(grid(4_096, 4_096, slices: 4).blocks == 256)
        #expect(grid(7_168, 7_168).blocks == 252)
        #expect(grid(7_168, 7_168, slices: 2).blocks == 264)
    }

    @Test func memoryBoundSharesAreAligned() {
        #expect(grid(28_672, 7_168, isBandwidthBound: true).blocks == 224)
        let tall = grid(100_000, 2_048, isBandwidthBound: true)
        #expect(tall.blocks == tall.rowBlocks && tall.isWhole)
    }

    /// A block has two steps of every warp at least, and a matrix one block.
    @Test func smallMatricesHaveFewBlocks() {
        #expect(grid(2_048, 2_048, slices: 4).blocks == 128)
        #expect(grid(256, 64 * 7, slices: 1).blocks == 3)
        #expect(grid(1, 1, slices: 4).blocks == 1)
    }

    @Test func takesWhatIsAskedFor() {
        #expect(grid(512, 640, blocks: 7).blocks == 7)
        #expect(grid(512, 640, blocks: 1_000).blocks == 20)
    }

    @Test func smallMatricesAreSliced() {
        func slices(_ layout: DeviceLayout, _ rows: Int) -> Int {
            ProductKernel.slices(layout, rows: rows, multiprocessors: 132)
        }
        #expect(slices(.laneStream, 2_048) == 4)
        #expect(slices(.laneBitmap, 4_096) == 4)
        #expect(slices(.laneStream, 7_168) == 2)
        #expect(slices(.laneStream, 12_288) == 2)
        #expect(slices(.laneStream, 28_672) == 1)
        #expect(slices(.dense, 28_672) == 4)
    }
}

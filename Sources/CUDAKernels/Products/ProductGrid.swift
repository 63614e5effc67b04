/// How a product is cut into blocks: rows by tokens by slices of the columns.
struct ProductGrid: Equatable {
    let rowBlocks: Int
    let tokenBlocks: Int
    let slices: Int
    /// Steps of 64 columns in a slice; the last one may have fewer.
    let sliceSteps: Int

    /// What a block spends on filling its pipeline and on writing its sums, in steps of its loop.
    private static let blockOverheadSteps = 6
    /// What adding up the slices' sums costs for each slice, in steps of a block's loop.
    private static let reductionSteps = 1

    /// The cut that takes the least time.
    ///
    /// Blocks run in waves of `concurrentBlocks`, and a wave takes as long as a block's steps. Few rows leave
    /// multiprocessors without work; slices give it to them, at the price of filling more pipelines and of adding up.
    /// - Parameters:
    ///   - segmentSteps: slices are whole numbers of so many steps.
    ///   - concurrentBlocks: blocks that all multiprocessors together run at once.
    ///   - asked: a number of slices that is taken as it is, as far as there are segments.
    init(
        rows: Int, columns: Int, tokens: Int, blockTokens: Int, segmentSteps: Int, concurrentBlocks: Int,
        slices asked: Int? = nil
    ) {
        let rowBlocks = (rows + ProductKernel.blockRows - 1) / ProductKernel.blockRows
        let tokenBlocks = (tokens + blockTokens - 1) / blockTokens
        let steps = (columns + ProductKernel.stepColumns - 1) / ProductKernel.stepColumns
        let segments = (steps + segmentSteps - 1) / segmentSteps
        var best: (cost: Int, slices: Int, sliceSteps: Int)?
        let candidates = asked.map { min($0, segments)...min($0, segments) } ?? 1...min(segments, Self.maximumSlices)
        for wanted in candidates {
            let sliceSteps = (segments + wanted - 1) / wanted * segmentSteps
            let slices = (steps + sliceSteps - 1) / sliceSteps
            let blocks = rowBlocks * tokenBlocks * slices
            let waves = (blocks + concurrentBlocks - 1) / concurrentBlocks
            let reduction = slices > 1 ? Self.reductionSteps * slices : 0
            let cost = waves * (min(sliceSteps, steps) + Self.blockOverheadSteps + reduction)
            if best == nil || cost < best!.cost { best = (cost, slices, sliceSteps) }
        }
        self.rowBlocks = rowBlocks
        self.tokenBlocks = tokenBlocks
        slices = best!.slices
        sliceSteps = best!.sliceSteps
    }

    /// Each costs memory for its sums.
    static let maximumSlices = 32
}

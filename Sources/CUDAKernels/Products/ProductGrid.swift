/// How a product is spread over blocks: all steps of all rows in equal shares, for each block of tokens.
struct ProductGrid: Equatable {
    let rowBlocks: Int
    let tokenBlocks: Int
    /// Blocks for each block of tokens.
    let blocks: Int

    /// With fewer steps a block does little else.
    private static let leastSteps = 4

    /// - Parameters:
    ///   - concurrentBlocks: blocks that all multiprocessors together run at once.
    ///   - isBandwidthBound: whether blocks wait for memory rather than for each other's instructions.
    ///   - asked: a number of blocks for each block of tokens that is taken as it is, as far as there are steps.
    init(
        rows: Int, columns: Int, tokens: Int, blockRows: Int, blockTokens: Int, concurrentBlocks: Int,
        isBandwidthBound: Bool, blocks asked: Int? = nil
    ) {
        rowBlocks = (rows + blockRows - 1) / blockRows
        tokenBlocks = (tokens + blockTokens - 1) / blockTokens
        let steps = rowBlocks * ((columns + ProductKernel.stepColumns - 1) / ProductKernel.stepColumns)
        if let asked {
            blocks = min(max(asked, 1), steps)
            return
        }
        let most = max(1, min(concurrentBlocks / tokenBlocks, steps / Self.leastSteps))
        // All at once; or, where memory and not the blocks is what takes the time, so many that every share begins and
        // ends with a row block's rows: a block has one piece then, not two.
        blocks = isBandwidthBound ? max(1, most / rowBlocks) * rowBlocks : most
    }

    /// Whether every block has all columns of its rows.
    var isWhole: Bool { blocks == rowBlocks }
}

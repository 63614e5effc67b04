/// How a product is spread over blocks: all steps of all rows in equal shares, for each block of tokens.
struct ProductGrid: Equatable {
    let rowBlocks: Int
    let tokenBlocks: Int
    /// Blocks for each block of tokens.
    let blocks: Int

    /// With fewer steps of a warp a block does little else.
    private static let leastSteps = 2

    /// - Parameters:
    ///   - concurrentBlocks: blocks that all multiprocessors together run at once.
    ///   - isBandwidthBound: whether blocks wait for memory rather than for each other's instructions.
    ///   - slices: of columns, that a block's warps have side by side.
    ///   - asked: a number of blocks for each block of tokens that is taken as it is, as far as there are steps.
    init(
        rows: Int, columns: Int, tokens: Int, blockRows: Int, blockTokens: Int, concurrentBlocks: Int,
        isBandwidthBound: Bool, slices: Int = 1, blocks asked: Int? = nil
    ) {
        rowBlocks = (rows + blockRows - 1) / blockRows
        tokenBlocks = (tokens + blockTokens - 1) / blockTokens
        let steps = rowBlocks * ((columns + ProductKernel.stepColumns - 1) / ProductKernel.stepColumns)
        if let asked {
            blocks = min(max(asked, 1), steps)
            return
        }
        let most = max(1, min(concurrentBlocks / tokenBlocks, steps / (Self.leastSteps * slices)))
        // So many that every share begins and ends with a row block, and a block has one piece, not two: where memory
        // and not the blocks is what takes the time, or where few multiprocessors are idle for it. Else all at once.
        let aligned = most / rowBlocks * rowBlocks
        blocks = isBandwidthBound ? max(aligned, rowBlocks) : aligned * 20 >= most * 19 ? aligned : most
    }

    /// Whether every block has all columns of its rows.
    var isWhole: Bool { blocks == rowBlocks }
}

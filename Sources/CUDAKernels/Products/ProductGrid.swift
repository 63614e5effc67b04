/// How a product is spread over blocks: all steps of all rows in equal shares, for each block of tokens.
struct ProductGrid: Equatable {
    let rowBlocks: Int
    let tokenBlocks: Int
    /// Blocks for each block of tokens.
    let blocks: Int

    /// What a block spends on each piece of its share, a row block's steps, beside the steps: filling its pipeline, and
    /// writing and adding up sums. In steps; measured on an H100.
    private static let pieceOverheadSteps = 3
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
        // All at once, or with shares that begin and end with a row block's rows: a block has one piece then, not two.
        let most = max(1, min(concurrentBlocks / tokenBlocks, steps / Self.leastSteps))
        if rowBlocks > most {
            // Few blocks more than there is room for would have a wave of their own.
            blocks = isBandwidthBound ? rowBlocks : most
            return
        }
        let whole = most / rowBlocks * rowBlocks
        func cost(_ blocks: Int, pieces: Int) -> Int {
            (steps + blocks - 1) / blocks + pieces * Self.pieceOverheadSteps
        }
        blocks = isBandwidthBound || cost(whole, pieces: 1) <= cost(most, pieces: 2) ? whole : most
    }

    /// Whether every block has all columns of its rows.
    var isWhole: Bool { blocks == rowBlocks }
}

/// The two kernels of attention, and what a block of each has: `AttentionShape` in attention.cuh.
enum AttentionShape: String, CaseIterable {
    /// 64 rows, 16 for each warp; tiles of the context are shared.
    case prompt
    /// 16 rows, the same for all warps; each warp has 16 tokens of a tile.
    case decode

    /// (token, query head) pairs of a block.
    var rows: Int { self == .prompt ? 64 : 16 }

    private var queryWarps: Int { rows / 16 }

    private func contextWarps(headStride: Int) -> Int { self == .prompt ? 1 : headStride <= 128 ? 4 : 2 }

    func threads(headStride: Int) -> Int { 32 * queryWarps * contextWarps(headStride: headStride) }

    /// Tokens of the context that a block looks at together.
    func tileTokens(headStride: Int) -> Int {
        self == .decode ? 16 * contextWarps(headStride: headStride) : headStride <= 64 ? 64 : 32
    }

    /// Dynamic shared memory of a block: queries, and two tiles of keys and values.
    func sharedBytes(headStride: Int) -> Int {
        (rows + 4 * tileTokens(headStride: headStride)) * (2 * headStride + 16)
    }

    func name(headStride: Int) -> String { "attend_\(self)_\(headStride)" }

    /// The macro that makes the file define this kernel alone.
    func instance(headStride: Int) -> String {
        "KERNEL(\(self),\(headStride),\(queryWarps),\(contextWarps(headStride: headStride)))"
    }
}

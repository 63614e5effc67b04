import CCUDA

/// The heads of a decoder, and how they lie in a GPU's memory.
public struct AttentionGeometry: Sendable, Equatable {
    /// Heads of keys and values.
    public let cacheHeads: Int
    /// Query heads of each.
    public let group: Int
    /// Elements of a head: even, at most ``maximumHeadSize``.
    public let headSize: Int

    /// The kernels' limits: a head is in registers, and a block has all query heads of a cache head.
    public static let maximumHeadSize = 256
    public static let maximumGroup = 64

    /// Tokens of a block of the cache.
    public static let blockTokens = Int(FLASH_GPU_CACHE_TOKENS)

    /// - Precondition: within the limits.
    public init(cacheHeads: Int, group: Int, headSize: Int) {
        precondition(cacheHeads >= 1 && (1...Self.maximumGroup).contains(group))
        precondition(headSize >= 2 && headSize % 2 == 0 && headSize <= Self.maximumHeadSize)
        self.cacheHeads = cacheHeads
        self.group = group
        self.headSize = headSize
    }

    public var queryHeads: Int { cacheHeads * group }
    /// Elements from head to head of what attention reads, a multiple of 16; those behind a head are zero.
    public var headStride: Int { (headSize + 15) / 16 * 16 }
    /// Elements of one token's rotated queries.
    public var queryStride: Int { queryHeads * headStride }
    /// Bytes of a block of one layer's cache: f16 `[2, cacheHeads, 16, headStride]`, keys and then values.
    public var blockBytes: Int { 2 * cacheHeads * Self.blockTokens * headStride * 2 }
}

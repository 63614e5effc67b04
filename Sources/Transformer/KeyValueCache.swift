import CKernels
public import Tensors

/// Keys and values of all layers for the tokens seen so far, in blocks of 16 tokens that sequences own.
///
/// Eight blocks by eight, so that memory is touched as sequences grow; within these layer by layer, head by head: eight
/// blocks' keys, each `[headSize, 16]`, and behind them their values, each `[16, headSize]`; int8 in pairs and with 16
/// float32 scales behind each (see CKernels.h for why). Which block belongs to whom is not known here: attention reads
/// fastest where a sequence's blocks have consecutive numbers.
public final class KeyValueCache: @unchecked Sendable {
    public static let blockTokens = Int(FLASH_BLOCK_TOKENS)
    private static let superblock = Int(FLASH_SUPERBLOCK)

    public let blockCount: Int
    /// f16, f32 or i8: what a key or value is rounded to. i8 halves f16's memory again; every token's key and value
    /// of one head then share one scale.
    public let element: ElementType
    private let headCount: Int
    private let headSize: Int
    private let layerBytes: Int
    /// Not initialised: pages that no token reaches are never committed. They are huge where there are such: blocks
    /// of one layer lie far apart, and each would cost a walk through the page tables.
    private let memory: AlignedBuffer<UInt8>

    /// The types that a cache may have.
    public static let elements: [ElementType] = [.f32, .f16, .i8]

    /// - Precondition: `element` is one of ``elements``; at least one block.
    public init(configuration: ModelConfiguration, blockCount: Int, element: ElementType) {
        precondition(Self.elements.contains(element), "a cache of \(element)")
        precondition(blockCount >= 1 && blockCount <= Int(Int32.max))
        self.blockCount = blockCount
        self.element = element
        headCount = configuration.keyValueHeadCount
        headSize = configuration.headSize
        layerBytes = Self.bytesPerLayer(configuration, element: element)
        bytesPerBlock = Self.bytesPerBlock(configuration, element: element)
        let superblocks = (blockCount + Self.superblock - 1) / Self.superblock
        let (total, overflow) = bytesPerBlock.multipliedReportingOverflow(by: superblocks * Self.superblock)
        precondition(!overflow, "a cache of \(blockCount) blocks overflows")
        memory = AlignedBuffer(uninitializedCount: total)
    }

    /// Bytes of one block: 16 tokens in all layers.
    public static func bytesPerBlock(_ configuration: ModelConfiguration, element: ElementType) -> Int {
        configuration.layerCount * bytesPerLayer(configuration, element: element)
    }

    /// Bytes of one block: 16 tokens in all layers.
    public let bytesPerBlock: Int

    private static func bytesPerLayer(_ configuration: ModelConfiguration, element: ElementType) -> Int {
        let scale = element == .i8 ? MemoryLayout<Float>.size : 0
        let width = element == .i8 ? (configuration.headSize + 1) / 2 * 2 : configuration.headSize
        let tokenBytes = width * element.byteCount + scale
        return 2 * configuration.keyValueHeadCount * blockTokens * tokenBytes
    }

    /// Sets all keys and values to zero. Memory that nothing wrote to is one shared page of zeros: whoever measures
    /// attention over it measures a cache that fits the processor's own.
    public func clear() { memory.elements.initialize(repeating: 0) }

    func kernelLayer(_ index: Int) -> flash_cache_layer {
        flash_cache_layer(
            layer: memory.pointer + index * layerBytes * Self.superblock, type: element.cacheType,
            superblock_stride: Int64(bytesPerBlock * Self.superblock), kv_heads: Int64(headCount),
            head_width: Int64(headSize))
    }
}

extension ElementType {
    fileprivate var cacheType: flash_cache_type {
        switch self {
        case .f32: FLASH_CACHE_F32
        case .i8: FLASH_CACHE_I8
        default: FLASH_CACHE_F16
        }
    }
}

import CKernels
public import Tensors

/// Keys and values of all layers for the tokens seen so far, in blocks of 16 tokens that sequences own.
///
/// Block by block, so that memory is touched as sequences grow; within a block layer by layer; within a layer the keys
/// `[keyValueHeads, headSize, 16]` and behind them the values `[keyValueHeads, 16, headSize]` (see CKernels.h for why).
/// Which block belongs to whom is not known here.
public final class KeyValueCache: @unchecked Sendable {
    public static let blockTokens = Int(FLASH_BLOCK_TOKENS)

    public let blockCount: Int
    /// f16 or f32.
    public let element: ElementType
    private let layerCount: Int
    private let headCount: Int
    private let headSize: Int
    private let memory: UnsafeMutableRawPointer

    /// - Precondition: `element` is f16 or f32; at least one block.
    public init(configuration: ModelConfiguration, blockCount: Int, element: ElementType) {
        precondition(element == .f16 || element == .f32)
        precondition(blockCount >= 1 && blockCount <= Int(Int32.max))
        self.blockCount = blockCount
        self.element = element
        layerCount = configuration.layerCount
        headCount = configuration.keyValueHeadCount
        headSize = configuration.headSize
        let bytes = Self.bytesPerBlock(configuration, element: element)
        let (total, overflow) = bytes.multipliedReportingOverflow(by: blockCount)
        precondition(!overflow, "a cache of \(blockCount) blocks overflows")
        // Not initialised: pages that no token reaches are never committed.
        memory = .allocate(byteCount: total, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// Bytes of one block: 16 tokens in all layers.
    public static func bytesPerBlock(_ configuration: ModelConfiguration, element: ElementType) -> Int {
        configuration.layerCount * 2 * configuration.keyValueWidth * blockTokens * element.byteCount
    }

    public var bytesPerBlock: Int { layerCount * layerElements * element.byteCount }

    private var layerElements: Int { 2 * headCount * headSize * Self.blockTokens }

    func kernelLayer(_ index: Int) -> flash_cache_layer {
        flash_cache_layer(
            layer: memory + index * layerElements * element.byteCount,
            element: element == .f16 ? FLASH_F16 : FLASH_F32, block_stride: Int64(layerCount * layerElements),
            kv_heads: Int64(headCount), head_width: Int64(headSize))
    }
}

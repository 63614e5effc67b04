import CKernels
public import Tensors

/// Keys and values of all layers for the tokens seen so far, in blocks of 16 tokens that sequences own.
///
/// Block by block, so that memory is touched as sequences grow; within a block layer by layer; within a layer the keys
/// of every head `[headSize, 16]` and behind them the values of each head `[16, headSize]`, int8 with 16 float32 scales
/// behind each (see CKernels.h for why). Which block belongs to whom is not known here.
public final class KeyValueCache: @unchecked Sendable {
    public static let blockTokens = Int(FLASH_BLOCK_TOKENS)

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
        let (total, overflow) = bytesPerBlock.multipliedReportingOverflow(by: blockCount)
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
        let tokenBytes = configuration.headSize * element.byteCount + scale
        return 2 * configuration.keyValueHeadCount * blockTokens * tokenBytes
    }

    /// Sets all keys and values to zero. Memory that nothing wrote to is one shared page of zeros: whoever measures
    /// attention over it measures a cache that fits the processor's own.
    public func clear() { memory.elements.initialize(repeating: 0) }

    func kernelLayer(_ index: Int) -> flash_cache_layer {
        flash_cache_layer(
            layer: memory.pointer + index * layerBytes, type: element.cacheType, block_stride: Int64(bytesPerBlock),
            kv_heads: Int64(headCount), head_width: Int64(headSize))
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

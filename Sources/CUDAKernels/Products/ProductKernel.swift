import CCUDA
import CUDA
import Tensors

/// One kernel of products: a layout, a type and a number of tokens that a block takes.
struct ProductKernel: Hashable {
    let layout: DeviceLayout
    let valueType: ElementType
    /// Tokens of a block: 8, 16, 32 or 64.
    let tokens: Int
    /// Whether it makes do with less shared memory, as it must where a multiprocessor has less.
    let isSmall: Bool

    static let blockTokens = [8, 16, 32, 64]
    static let threads = FLASH_GPU_BLOCK_THREADS
    static let stepColumns = FLASH_GPU_STEP_COLUMNS

    /// The kernel whose blocks take `tokens` tokens, or as many of them as they can with the shared memory there is.
    /// - Parameter sharedLimit: of a block, in bytes.
    init(_ layout: DeviceLayout, _ valueType: ElementType, tokens: Int, sharedLimit: Int) {
        let wanted = Self.blockTokens.first { $0 >= tokens } ?? Self.blockTokens.last!
        let least = Self.blockTokens.first!
        let isTooLarge = Self(layout, valueType, wanted, isSmall: false).sharedBytes > sharedLimit
        let isSmall = isTooLarge && layout.hasSmallKernels
        let fitting = Self.blockTokens.last {
            $0 <= wanted && Self(layout, valueType, $0, isSmall: isSmall).sharedBytes <= sharedLimit
        }
        // If even the least is too much, the launch says so.
        self.init(layout, valueType, fitting ?? least, isSmall: isSmall)
    }

    init(for matrix: DeviceMatrix, tokens: Int) {
        self.init(
            matrix.layout, matrix.valueType, tokens: tokens,
            sharedLimit: matrix.context.device.sharedBytesPerBlockOptIn)
    }

    private init(_ layout: DeviceLayout, _ valueType: ElementType, _ tokens: Int, isSmall: Bool) {
        self.layout = layout
        self.valueType = valueType
        self.tokens = tokens
        self.isSmall = isSmall
    }

    var name: String {
        "\(layout.file.dropLast(".cu".count))\(isSmall ? "_small" : "")_\(valueType)_\(tokens)"
    }

    /// The macro that makes the file define this kernel alone.
    var instance: String {
        "\(isSmall ? "SMALL_" : "")KERNEL(\(valueType),\(valueType == .bf16 ? "BF16" : "F16"),\(tokens))"
    }

    /// Dynamic shared memory of a block.
    var sharedBytes: Int {
        let chunkSteps = Int(flash_gpu_chunk_steps(Int32(layout.chunkBytes), Int32(tokens)))
        return FLASH_GPU_FLAG_BYTES + 2 * chunkSteps * FLASH_GPU_ACTIVATION_BYTES * tokens
            + layout.blockBytes(isSmall: isSmall)
    }

    /// Float32 sums of a block.
    var sums: Int { layout.blockRows * tokens }
}

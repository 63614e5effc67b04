import CCUDA
import CUDA
import Tensors

/// One kernel of products: a layout, a type, a number of tokens that a block takes, and slices of the columns.
struct ProductKernel: Hashable {
    let layout: DeviceLayout
    let valueType: ElementType
    /// Tokens of a block: 8, 16, 32 or 64.
    let tokens: Int
    /// Whether it makes do with less shared memory, as it must where a multiprocessor has less.
    let isSmall: Bool
    /// Into how many slices of columns a block's warps cut what they do (work.cuh).
    private(set) var slices = 1

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

    /// The kernel for a matrix.
    /// - Parameter slices: 1, 2 or 4, as far as there is such a kernel; nil to choose.
    init(for matrix: DeviceMatrix, tokens: Int, slices: Int? = nil) {
        let device = matrix.context.device
        self.init(
            matrix.layout, matrix.valueType, tokens: tokens, sharedLimit: device.sharedBytesPerBlockOptIn)
        let chosen = slices ?? Self.slices(layout, rows: matrix.rows, multiprocessors: device.multiprocessors)
        self.slices = min(chosen, mostSlices)
    }

    /// How many slices are the fastest, if there are such kernels; measured on an H100 (docs/benchmarks/gpu.md).
    ///
    /// With two blocks on a multiprocessor so many share a row block: adding up 13 shares takes longer than all other
    /// work of a small product, while a large one only begins more often. Dense weights wait for memory, not for that.
    static func slices(_ layout: DeviceLayout, rows: Int, multiprocessors: Int) -> Int {
        if layout == .dense { return FLASH_GPU_MOST_SLICES }
        let shares = 2 * multiprocessors / ((rows + layout.blockRows - 1) / layout.blockRows)
        return shares >= 13 ? 4 : shares >= 5 ? 2 : 1
    }

    /// Slices whose steps have two turns in a chunk of activations: a chunk is on its way while the one before is read.
    private var mostSlices: Int {
        let steps = layout.chunkBytes / (FLASH_GPU_ACTIVATION_BYTES * tokens)
        return layout.hasSlices ? max(min(steps / 2, FLASH_GPU_MOST_SLICES), 1) : 1
    }

    /// Rows of a block.
    var blockRows: Int { layout.blockRows / slices }

    private init(_ layout: DeviceLayout, _ valueType: ElementType, _ tokens: Int, isSmall: Bool) {
        self.layout = layout
        self.valueType = valueType
        self.tokens = tokens
        self.isSmall = isSmall
    }

    var name: String {
        "\(layout.file.dropLast(".cu".count))\(isSmall ? "_small" : "")_\(valueType)_\(tokens)_\(slices)"
    }

    /// The macro that makes the file define this kernel alone.
    var instance: String {
        "\(isSmall ? "SMALL_" : "")KERNEL(\(valueType),\(valueType == .bf16 ? "BF16" : "F16"),\(tokens),\(slices))"
    }

    /// Dynamic shared memory of a block.
    var sharedBytes: Int {
        let chunkSteps = Int(flash_gpu_chunk_steps(Int32(layout.chunkBytes), Int32(tokens), Int32(slices)))
        return FLASH_GPU_FLAG_BYTES + 2 * chunkSteps * FLASH_GPU_ACTIVATION_BYTES * tokens
            + layout.blockBytes(isSmall: isSmall)
    }

    /// Float32 sums of a block.
    var sums: Int { blockRows * tokens }
}

import CCUDA
import CUDA
import Tensors

/// One kernel of products: a layout, a type and a number of tokens that a block takes.
struct ProductKernel: Hashable {
    let layout: DeviceLayout
    let valueType: ElementType
    /// Tokens of a block: 8, 16, 32 or 64.
    let tokens: Int

    static let blockTokens = [8, 16, 32, 64]
    static let threads = FLASH_GPU_BLOCK_THREADS
    static let stepColumns = FLASH_GPU_STEP_COLUMNS

    /// The kernel whose blocks take `tokens` tokens, or as many of them as one can.
    init(for matrix: DeviceMatrix, tokens: Int) {
        layout = matrix.layout
        valueType = matrix.valueType
        self.tokens = Self.blockTokens.first { $0 >= tokens } ?? Self.blockTokens.last!
    }

    var name: String { "\(layout.file.dropLast(".cu".count))_\(valueType)_\(tokens)" }

    /// The macro that makes the file define this kernel alone.
    var instance: String { "KERNEL(\(valueType),\(valueType == .bf16 ? "BF16" : "F16"),\(tokens))" }

    /// Dynamic shared memory of a block.
    var sharedBytes: Int {
        let chunkSteps = Int(flash_gpu_chunk_steps(Int32(layout.chunkBytes), Int32(tokens)))
        return FLASH_GPU_FLAG_BYTES + 2 * chunkSteps * FLASH_GPU_ACTIVATION_BYTES * tokens
            + Self.threads / 32 * layout.warpBytes
    }

    /// Float32 sums of a block.
    var sums: Int { layout.blockRows * tokens }
}

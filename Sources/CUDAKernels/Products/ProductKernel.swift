import CCUDA
import CUDA
import Tensors

/// One kernel of products: a layout, a type and a number of tokens that a block takes.
struct ProductKernel: Hashable {
    let layout: DeviceLayout
    let valueType: ElementType
    let gapBits: Int?
    /// Tokens of a block: 8, 16, 32 or 64.
    let tokens: Int

    static let blockTokens = [8, 16, 32, 64]
    static let blockRows = FLASH_GPU_BLOCK_ROWS
    static let threads = FLASH_GPU_BLOCK_THREADS
    static let stepColumns = FLASH_GPU_STEP_COLUMNS

    /// The kernel whose blocks take `tokens` tokens, or as many of them as one can.
    init(for matrix: DeviceMatrix, tokens: Int) {
        layout = matrix.layout
        valueType = matrix.valueType
        gapBits = matrix.gapBits
        self.tokens = Self.blockTokens.first { $0 >= tokens } ?? Self.blockTokens.last!
    }

    var name: String {
        let layoutName = layout.file.dropLast(".cu".count)
        return "\(layoutName)\(gapBits.map { "_\($0)" } ?? "")_\(valueType)_\(tokens)"
    }

    /// The macro that makes the file define this kernel alone.
    var instance: String {
        let element = valueType == .bf16 ? "BF16" : "F16"
        return switch layout {
        case .gapStream: "KERNEL(\(gapBits!),\(gapBits! < 5 ? 2 : 1),\(valueType),\(element),\(tokens))"
        default: "KERNEL(\(valueType),\(element),\(tokens))"
        }
    }

    /// Dynamic shared memory of a block.
    var sharedBytes: Int {
        FLASH_GPU_ALIGNMENT_BYTES + FLASH_GPU_STAGES * FLASH_GPU_ACTIVATION_BYTES * tokens
            + Self.threads / 32 * layout.warpBytes
    }
}

import CCUDA
public import CUDA
import Synchronization
import Tensors

/// What a product reads and where it writes, in a GPU's memory.
public struct ProductOperands: Sendable {
    /// `[tokens, inputStride]` of the matrix's type. Columns beyond the matrix's, up to a multiple of 8, are zero.
    public var input: UInt64
    /// Elements from token to token, a multiple of 8.
    public var inputStride: Int
    /// `[tokens, outputStride]`; the matrix's rows are written.
    public var output: UInt64
    public var outputStride: Int
    public var outputType: ProductOutput
    public var tokens: Int

    public init(
        input: UInt64, inputStride: Int, output: UInt64, outputStride: Int, outputType: ProductOutput, tokens: Int
    ) {
        self.input = input
        self.inputStride = inputStride
        self.output = output
        self.outputStride = outputStride
        self.outputType = outputType
        self.tokens = tokens
    }
}

public enum ProductOutput: Sendable {
    case f32
    /// The type of the matrix.
    case sixteenBit
    /// Float32 sums are added to what is there.
    case addF32

    fileprivate var code: UInt32 {
        switch self {
        case .f32: FLASH_GPU_OUTPUT_F32.rawValue
        case .sixteenBit: FLASH_GPU_OUTPUT_16_BIT.rawValue
        case .addF32: FLASH_GPU_OUTPUT_ADD_F32.rawValue
        }
    }
}

/// How a product is spread over a GPU; what is nil, the product chooses.
public struct ProductSpread: Sendable {
    /// Blocks for each block of tokens, as far as there are steps.
    public var blocks: Int?
    /// A block's warps have so many slices of the columns, and as many times fewer rows: 1, 2 or 4, or as many as there
    /// is a kernel for.
    public var slices: Int?

    public init(blocks: Int? = nil, slices: Int? = nil) {
        self.blocks = blocks
        self.slices = slices
    }
}

/// Products of packed weights with activations on one GPU.
public final class Products: Sendable {
    /// The most blocks that may be asked for.
    public static let maximumBlocks = 65_536

    private let library: KernelLibrary
    /// By the kernels' names.
    private let loaded = Mutex<[String: LoadedKernel]>([:])

    private struct LoadedKernel {
        let kernel: Kernel
        let concurrentBlocks: Int
    }

    public init(_ library: KernelLibrary) { self.library = library }

    /// Gives `output[t, r] = sum over k of weights[r, k] * input[t, k]` to `stream`.
    ///
    /// Accumulates in float32 in an order that depends on shapes and on the GPU's size alone: the same in every run.
    /// - Parameters:
    ///   - workspace: memory for sums that blocks share, not used by other streams at the same time. It grows as
    ///     needed, and must not have to while a graph is recorded: ``reserve(_:tokens:in:)``.
    ///   - spread: how to spread the product over the GPU.
    /// - Throws: `CUDAError`.
    public func enqueue(
        _ matrix: DeviceMatrix, _ operands: ProductOperands, workspace: ProductWorkspace,
        spread: ProductSpread = ProductSpread(), on stream: Stream
    ) throws(CUDAError) {
        precondition(operands.tokens >= 1 && operands.inputStride % 8 == 0 && operands.inputStride >= matrix.columns)
        let shape = ProductKernel(for: matrix, tokens: operands.tokens, slices: spread.slices)
        let loaded = try load(shape)
        let grid = grid(matrix, shape, tokens: operands.tokens, loaded, blocks: spread.blocks)
        try workspace.reserve(grid, shape)
        var parameters = Self.parameters(of: matrix)
        parameters.input = operands.input
        parameters.output = operands.output
        parameters.partials = workspace.partials.address
        parameters.arrivals = workspace.arrivals.address
        parameters.tokens = UInt32(operands.tokens)
        parameters.input_stride = UInt32(operands.inputStride)
        parameters.output_stride = UInt32(operands.outputStride)
        parameters.output_type = operands.outputType.code
        try loaded.kernel.launch(
            grid: LaunchSize(grid.blocks, grid.tokenBlocks), block: LaunchSize(ProductKernel.threads),
            sharedBytes: shape.sharedBytes, parameters: parameters, isEarly: true, on: stream)
    }

    /// Gives the dense matrix that `matrix` stands for to `target`: 16-bit
    /// `[rows, columns rounded up to a multiple of 8]`, what fills up rows zero.
    /// - Precondition: the matrix is not dense already.
    /// - Throws: `CUDAError`.
    public func enqueueExpansion(of matrix: DeviceMatrix, to target: UInt64, on stream: Stream) throws(CUDAError) {
        let layout = matrix.layout
        precondition(layout != .dense)
        let sharedBytes = layout.blockBytes(isSmall: true)
        let loaded = try load(
            layout.expansionName, in: layout.file, instance: "EXPANSION", sharedBytes: sharedBytes)
        let grid = ProductGrid(
            rows: matrix.rows, columns: matrix.columns, tokens: 1, blockRows: layout.blockRows, blockTokens: 1,
            concurrentBlocks: loaded.concurrentBlocks, isBandwidthBound: false)
        var parameters = Self.parameters(of: matrix)
        parameters.output = target
        parameters.output_stride = UInt32(matrix.denseStride)
        try loaded.kernel.launch(
            grid: LaunchSize(grid.blocks), block: LaunchSize(ProductKernel.threads), sharedBytes: sharedBytes,
            parameters: parameters, on: stream)
    }

    private static func parameters(of matrix: DeviceMatrix) -> flash_gpu_product {
        var parameters = flash_gpu_product()
        parameters.weights.0 = matrix.arrays[0].address
        parameters.weights.1 = matrix.arrays.count > 1 ? matrix.arrays[1].address : 0
        parameters.weights.2 = matrix.arrays.count > 2 ? matrix.arrays[2].address : 0
        parameters.rows = UInt32(matrix.rows)
        parameters.columns = UInt32(matrix.columns)
        return parameters
    }

    /// Compiles what products of `matrix` with `tokens` tokens need, and makes room for their sums.
    /// - Throws: `CUDAError`.
    public func reserve(_ matrix: DeviceMatrix, tokens: Int, in workspace: ProductWorkspace) throws(CUDAError) {
        let shape = ProductKernel(for: matrix, tokens: tokens)
        try workspace.reserve(grid(matrix, shape, tokens: tokens, try load(shape), blocks: nil), shape)
    }

    private func grid(
        _ matrix: DeviceMatrix, _ shape: ProductKernel, tokens: Int, _ loaded: LoadedKernel, blocks: Int?
    ) -> ProductGrid {
        ProductGrid(
            rows: matrix.rows, columns: matrix.columns, tokens: tokens, blockRows: shape.blockRows,
            blockTokens: shape.tokens, concurrentBlocks: loaded.concurrentBlocks,
            isBandwidthBound: matrix.layout == .dense, slices: shape.slices, blocks: blocks)
    }

    private func load(_ shape: ProductKernel) throws(CUDAError) -> LoadedKernel {
        try load(shape.name, in: shape.layout.file, instance: shape.instance, sharedBytes: shape.sharedBytes)
    }

    private func load(
        _ name: String, in file: String, instance: String, sharedBytes: Int
    ) throws(CUDAError) -> LoadedKernel {
        if let found = loaded.withLock({ $0[name] }) { return found }
        let kernel = try library.kernel(named: name, in: file, instance: instance)
        let blocks = try kernel.blocksPerMultiprocessor(threads: ProductKernel.threads, sharedBytes: sharedBytes)
        let entry = LoadedKernel(
            kernel: kernel, concurrentBlocks: max(blocks, 1) * library.context.device.multiprocessors)
        loaded.withLock { $0[name] = entry }
        return entry
    }
}

import CCUDA
public import CUDA
public import Tensors

/// The steps of a decoder between its products and attention, on one GPU. Tensors are row-major, `[tokens, width]`.
public final class DecoderSteps: Sendable {
    /// f16 or bf16: of activations that products read.
    public let valueType: ElementType
    private let embedding: Kernel
    private let norm: Kernel
    private let rotation: Kernel
    private let gate: Kernel
    private let argmax: Kernel

    private static let threads = Int(FLASH_GPU_STEP_THREADS)
    private static let argmaxThreads = 1_024
    /// Enough for a value of every warp.
    private static let reductionBytes = 8 * 32

    /// Compiles the kernels.
    /// - Throws: `CUDAError`.
    public init(_ library: KernelLibrary, valueType: ElementType) throws(CUDAError) {
        precondition([.f16, .bf16].contains(valueType))
        self.valueType = valueType
        embedding = try library.kernel(named: "embed_\(valueType)", in: "embedding.cu")
        norm = try library.kernel(named: "normalize_\(valueType)", in: "norm.cu")
        rotation = try library.kernel(named: "rotate_append", in: "rotation.cu")
        gate = try library.kernel(named: "multiply_gate_\(valueType)", in: "gate.cu")
        argmax = try library.kernel(named: "argmax", in: "argmax.cu")
    }

    /// hidden = rows of the embedding table.
    /// - Parameters:
    ///   - table: dense, of ``valueType``.
    ///   - tokens: 32-bit ids `[count]`, each in the vocabulary.
    ///   - hidden: float32 `[count, columns of the table]`.
    /// - Throws: `CUDAError`.
    public func enqueueEmbedding(
        _ table: DeviceMatrix, tokens: UInt64, count: Int, hidden: UInt64, on stream: Stream
    ) throws(CUDAError) {
        precondition(table.layout == .dense && table.valueType == valueType)
        var parameters = flash_gpu_embedding()
        parameters.table = table.arrays[0].address
        parameters.tokens = tokens
        parameters.hidden = hidden
        parameters.width = UInt32(table.columns)
        parameters.table_stride = UInt32((table.columns + 7) / 8 * 8)
        try embedding.launch(
            grid: LaunchSize(count), block: LaunchSize(Self.threads), parameters: parameters, on: stream)
    }

    /// output = rows of input / sqrt(mean of squares + epsilon) * weight.
    /// - Parameters:
    ///   - input: float32 `[tokens, width]`.
    ///   - weight: float32 `[width]`.
    ///   - places: 32-bit numbers of the rows to take `[count]`; nil for the first ones in order.
    ///   - output: `[count, outputStride]`; columns from width on become zero.
    /// - Throws: `CUDAError`.
    public func enqueueNorm(
        input: UInt64, weight: UInt64, width: Int, epsilon: Float, places: UInt64? = nil, count: Int, output: UInt64,
        outputStride: Int, on stream: Stream
    ) throws(CUDAError) {
        var parameters = flash_gpu_norm()
        parameters.input = input
        parameters.weight = weight
        parameters.places = places ?? 0
        parameters.output = output
        parameters.width = UInt32(width)
        parameters.output_stride = UInt32(outputStride)
        parameters.epsilon = epsilon
        try norm.launch(
            grid: LaunchSize(count), block: LaunchSize(Self.threads), sharedBytes: Self.reductionBytes,
            parameters: parameters, on: stream)
    }

    /// Where a batch's queries, keys and values are, and where they go.
    public struct Rotation: Sendable {
        /// float32 `[tokens, queryHeads + 2 * cacheHeads, headSize]`: queries, keys, values.
        public var projected: UInt64
        /// 32-bit `[tokens]`, below the table's number.
        public var positions: UInt64
        /// 32-bit `[tokens]`: block * 16 + place in the block.
        public var slots: UInt64
        /// f16 `[tokens, queryHeads, headStride]`
        public var rotated: UInt64
        /// One layer's cache: f16 `[blocks, 2, cacheHeads, 16, headStride]`.
        public var cache: UInt64

        public init(
            projected: UInt64, positions: UInt64, slots: UInt64, rotated: UInt64, cache: UInt64
        ) {
            self.projected = projected
            self.positions = positions
            self.slots = slots
            self.rotated = rotated
            self.cache = cache
        }
    }

    /// Rotates queries and keys by their positions, and puts keys and values into the cache.
    /// - Throws: `CUDAError`.
    public func enqueueRotation(
        _ operands: Rotation, tokens: Int, geometry: AttentionGeometry, table: RotationTable, on stream: Stream
    ) throws(CUDAError) {
        precondition(table.frequencyCount == geometry.headSize / 2)
        var parameters = flash_gpu_rotation()
        parameters.projected = operands.projected
        parameters.rotations = table.buffer.address
        parameters.positions = operands.positions
        parameters.slots = operands.slots
        parameters.rotated = operands.rotated
        parameters.cache = operands.cache
        parameters.head_count = UInt32(geometry.queryHeads)
        parameters.cache_head_count = UInt32(geometry.cacheHeads)
        parameters.head_size = UInt32(geometry.headSize)
        parameters.head_stride = UInt32(geometry.headStride)
        let heads = geometry.queryHeads + 2 * geometry.cacheHeads
        let warps = Self.threads / 32
        try rotation.launch(
            grid: LaunchSize(tokens, (heads + warps - 1) / warps), block: LaunchSize(Self.threads),
            parameters: parameters, on: stream)
    }

    /// output = silu(gate) * up.
    /// - Parameters:
    ///   - input: float32 `[tokens, 2, width]`: gate, then up.
    ///   - output: `[tokens, outputStride]`; columns from width on become zero.
    /// - Throws: `CUDAError`.
    public func enqueueGate(
        input: UInt64, width: Int, tokens: Int, output: UInt64, outputStride: Int, on stream: Stream
    ) throws(CUDAError) {
        var parameters = flash_gpu_gate()
        parameters.input = input
        parameters.output = output
        parameters.width = UInt32(width)
        parameters.output_stride = UInt32(outputStride)
        try gate.launch(
            grid: LaunchSize((outputStride + Self.threads - 1) / Self.threads, tokens),
            block: LaunchSize(Self.threads), parameters: parameters, on: stream)
    }

    /// output = the place of the largest element of each row, of equal ones the first; ``noToken`` if one is NaN or
    /// the largest is infinite.
    /// - Parameters:
    ///   - input: float32 `[rows, width]`.
    ///   - output: 32-bit `[rows]`.
    /// - Throws: `CUDAError`.
    public func enqueueArgmax(
        input: UInt64, width: Int, rows: Int, output: UInt64, on stream: Stream
    ) throws(CUDAError) {
        var parameters = flash_gpu_argmax()
        parameters.input = input
        parameters.output = output
        parameters.width = UInt32(width)
        try argmax.launch(
            grid: LaunchSize(rows), block: LaunchSize(Self.argmaxThreads), sharedBytes: Self.reductionBytes,
            parameters: parameters, on: stream)
    }

    /// What stands for a token where there is no largest number.
    public static let noToken = Int32(FLASH_GPU_NO_TOKEN)
}

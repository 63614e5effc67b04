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
    private let activation: Kernel
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
        activation = try library.kernel(named: "activate_\(valueType)", in: "activation.cu")
        argmax = try library.kernel(named: "argmax", in: "argmax.cu")
    }

    /// hidden = rows of a table times a number, or += these.
    /// - Parameters:
    ///   - table: dense, of ``valueType``.
    ///   - places: 32-bit numbers `[count]`, each a row of the table when `firstRow` is added.
    ///   - hidden: float32 `[count, columns of the table]`.
    /// - Throws: `CUDAError`.
    public func enqueueEmbedding(
        _ table: DeviceMatrix, places: UInt64, firstRow: Int = 0, count: Int, scale: Float = 1, adds: Bool = false,
        hidden: UInt64, on stream: Stream
    ) throws(CUDAError) {
        precondition(table.layout == .dense && table.valueType == valueType)
        var parameters = flash_gpu_embedding()
        parameters.table = table.arrays[0].address
        parameters.places = places
        parameters.hidden = hidden
        parameters.width = UInt32(table.columns)
        parameters.table_stride = UInt32((table.columns + 7) / 8 * 8)
        parameters.first_row = UInt32(firstRow)
        parameters.adds = adds ? 1 : 0
        parameters.scale = scale
        try embedding.launch(
            grid: LaunchSize(count), block: LaunchSize(Self.threads), parameters: parameters, isEarly: true, on: stream)
    }

    /// A norm's vectors, float32 of the stream's width.
    public struct Norm: Sendable {
        public enum Kind: Sendable {
            /// x / sqrt(mean of x^2 + epsilon) * weight
            case rootMeanSquare
            /// (x - mean of x) / sqrt(mean of (x - mean)^2 + epsilon) * weight + bias
            case layer
        }

        public var kind: Kind
        public var weight: UInt64
        public var bias: UInt64?
        public var epsilon: Float

        public init(kind: Kind, weight: UInt64, bias: UInt64? = nil, epsilon: Float) {
            self.kind = kind
            self.weight = weight
            self.bias = bias
            self.epsilon = epsilon
        }
    }

    /// output = norm of rows of input, rounded to ``valueType``.
    /// - Parameters:
    ///   - norm: nil for the rows as they are.
    ///   - input: float32 `[tokens, width]`.
    ///   - addend: float32 `[width]`, a bias. With a norm that stands before a product it is added to the input in
    ///     passing: the bias of what will be added to that next. With one that stands behind it is added first.
    ///   - standsBehind: whether the result takes the input's place.
    ///   - places: 32-bit numbers of the rows to take `[count]`; nil for the first ones in order. The input may change
    ///     only where none comes twice.
    ///   - output: `[count, outputStride]`; columns from width on become zero.
    /// - Throws: `CUDAError`.
    public func enqueueNorm(
        _ norm: Norm?, input: UInt64, width: Int, addend: UInt64? = nil, standsBehind: Bool = false,
        places: UInt64? = nil, count: Int, output: UInt64, outputStride: Int, on stream: Stream
    ) throws(CUDAError) {
        var parameters = self.parameters(norm, input: input, width: width, addend: addend)
        parameters.places = places ?? 0
        parameters.output = output
        parameters.output_stride = UInt32(outputStride)
        parameters.is_behind = standsBehind ? 1 : 0
        try launch(parameters, count: count, on: stream)
    }

    /// sum += norm of rows of input + addend.
    /// - Parameters:
    ///   - input: float32 `[count, width]`.
    ///   - addend: float32 `[width]`.
    ///   - sum: float32 `[count, width]`.
    /// - Throws: `CUDAError`.
    public func enqueueNorm(
        _ norm: Norm, input: UInt64, width: Int, addend: UInt64? = nil, count: Int, addingTo sum: UInt64,
        on stream: Stream
    ) throws(CUDAError) {
        var parameters = self.parameters(norm, input: input, width: width, addend: addend)
        parameters.sum = sum
        parameters.output_stride = UInt32(width)
        parameters.is_behind = 1
        try launch(parameters, count: count, on: stream)
    }

    private func parameters(_ norm: Norm?, input: UInt64, width: Int, addend: UInt64?) -> flash_gpu_norm {
        var parameters = flash_gpu_norm()
        parameters.input = input
        parameters.weight = norm?.weight ?? 0
        parameters.bias = norm?.bias ?? 0
        parameters.addend = addend ?? 0
        parameters.width = UInt32(width)
        parameters.epsilon = norm?.epsilon ?? 0
        let kind =
            switch norm?.kind {
            case nil: FLASH_GPU_NORM_NONE
            case .rootMeanSquare: FLASH_GPU_NORM_RMS
            case .layer: FLASH_GPU_NORM_LAYER
            }
        parameters.kind = kind.rawValue
        return parameters
    }

    private func launch(_ parameters: flash_gpu_norm, count: Int, on stream: Stream) throws(CUDAError) {
        try norm.launch(
            grid: LaunchSize(count), block: LaunchSize(Int(FLASH_GPU_NORM_THREADS)), sharedBytes: Self.reductionBytes,
            parameters: parameters, isEarly: true, on: stream)
    }

    /// Where a batch's queries, keys and values are, and where they go.
    public struct Rotation: Sendable {
        /// float32 `[tokens, queryHeads + 2 * cacheHeads, headSize]`: queries, keys, values.
        public var projected: UInt64
        /// 32-bit `[tokens]`, below the table's number; with ``RotationTable/longSequence`` in long sequences.
        public var positions: UInt64
        /// 32-bit `[tokens]`: block * 16 + place in the block.
        public var slots: UInt64
        /// f16 `[tokens, queryHeads, headStride]`
        public var rotated: UInt64
        /// One layer's cache: f16 `[blocks, 2, cacheHeads, 16, headStride]`.
        public var cache: UInt64
        /// float32 `[queryHeads + 2 * cacheHeads, headSize]`, added before anything else.
        public var bias: UInt64?
        /// float32 `[headSize]`: weights of the norms of each query and key, by their root mean square.
        public var queryNorm: UInt64?
        public var keyNorm: UInt64?
        public var epsilon: Float = 0

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

    /// Adds biases, normalises queries and keys, rotates them by their positions, and puts keys and values into the
    /// cache.
    /// - Parameter table: nil where nothing is rotated.
    /// - Throws: `CUDAError`.
    public func enqueueRotation(
        _ operands: Rotation, tokens: Int, geometry: AttentionGeometry, table: RotationTable?, on stream: Stream
    ) throws(CUDAError) {
        precondition(table.map { $0.frequencyCount == geometry.headSize / 2 } ?? true)
        var parameters = flash_gpu_rotation()
        parameters.projected = operands.projected
        parameters.rotations = table?.buffer.address ?? 0
        parameters.long_row = UInt32(table?.longRow ?? 0)
        parameters.positions = operands.positions
        parameters.slots = operands.slots
        parameters.rotated = operands.rotated
        parameters.cache = operands.cache
        parameters.bias = operands.bias ?? 0
        parameters.query_norm = operands.queryNorm ?? 0
        parameters.key_norm = operands.keyNorm ?? 0
        parameters.epsilon = operands.epsilon
        parameters.head_count = UInt32(geometry.queryHeads)
        parameters.cache_head_count = UInt32(geometry.cacheHeads)
        parameters.head_size = UInt32(geometry.headSize)
        parameters.head_stride = UInt32(geometry.headStride)
        let heads = geometry.queryHeads + 2 * geometry.cacheHeads
        let warps = Self.threads / 32
        try rotation.launch(
            grid: LaunchSize(tokens, (heads + warps - 1) / warps), block: LaunchSize(Self.threads),
            parameters: parameters, isEarly: true, on: stream)
    }

    /// What stands between an MLP's products.
    public enum Activation: Sendable {
        /// silu(gate) * up
        case gatedSilu
        /// gelu(gate) * up, with tanh.
        case gatedGeluTanh
        case relu
        /// With the error function.
        case gelu
        /// With tanh in its place.
        case geluTanh

        /// What the products before it give of a token, in widths.
        public var parts: Int { self == .gatedSilu || self == .gatedGeluTanh ? 2 : 1 }

        fileprivate var kind: flash_gpu_activation_kind {
            switch self {
            case .gatedSilu: FLASH_GPU_ACTIVATION_GATED_SILU
            case .gatedGeluTanh: FLASH_GPU_ACTIVATION_GATED_GELU_TANH
            case .relu: FLASH_GPU_ACTIVATION_RELU
            case .gelu: FLASH_GPU_ACTIVATION_GELU
            case .geluTanh: FLASH_GPU_ACTIVATION_GELU_TANH
            }
        }
    }

    /// output = activation of input + bias, rounded to ``valueType``.
    /// - Parameters:
    ///   - input: float32 `[tokens, parts, width]`: gate, then up, where there is a gate.
    ///   - bias: float32 `[parts, width]`.
    ///   - output: `[tokens, outputStride]`; columns from width on become zero.
    /// - Throws: `CUDAError`.
    public func enqueueActivation(
        _ activation: Activation, input: UInt64, bias: UInt64? = nil, width: Int, tokens: Int, output: UInt64,
        outputStride: Int, on stream: Stream
    ) throws(CUDAError) {
        var parameters = flash_gpu_activation()
        parameters.input = input
        parameters.bias = bias ?? 0
        parameters.output = output
        parameters.width = UInt32(width)
        parameters.output_stride = UInt32(outputStride)
        parameters.kind = activation.kind.rawValue
        try self.activation.launch(
            grid: LaunchSize((outputStride + Self.threads - 1) / Self.threads, tokens),
            block: LaunchSize(Self.threads), parameters: parameters, isEarly: true, on: stream)
    }

    /// output = the place of the largest element of each row, of equal ones the first; ``noToken`` if one is NaN or
    /// the largest is infinite.
    /// - Parameters:
    ///   - input: float32 `[rows, width]`.
    ///   - cap: what elements are kept below: they become `cap * tanh(element / cap)` before; nil for none.
    ///   - output: 32-bit `[rows]`.
    /// - Throws: `CUDAError`.
    public func enqueueArgmax(
        input: UInt64, width: Int, rows: Int, cap: Float? = nil, output: UInt64, on stream: Stream
    ) throws(CUDAError) {
        var parameters = flash_gpu_argmax()
        parameters.input = input
        parameters.output = output
        parameters.width = UInt32(width)
        parameters.cap = cap ?? 0
        try argmax.launch(
            grid: LaunchSize(rows), block: LaunchSize(Self.argmaxThreads), sharedBytes: Self.reductionBytes,
            parameters: parameters, isEarly: true, on: stream)
    }

    /// What stands for a token where there is no largest number.
    public static let noToken = Int32(FLASH_GPU_NO_TOKEN)
}

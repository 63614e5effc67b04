import CCUDA
public import CUDA
public import Tensors

/// Softmax attention over a blocked cache on one GPU: queries of every length of run, heads of one size.
public final class Attention: Sendable {
    public let geometry: AttentionGeometry
    /// How many blocks of decoding fill the GPU.
    public let wantedBlocks: Int
    private let prompt: Kernel
    private let decode: Kernel

    /// What attention reads and writes, in a GPU's memory.
    public struct Operands: Sendable {
        /// f16 `[tokens, queryHeads, headStride]`, rotated.
        public var queries: UInt64
        /// One layer's cache: f16 `[blocks, 2, cacheHeads, 16, headStride]`.
        public var cache: UInt64
        /// `[tokens, outputStride]`: the heads behind each other, `headSize` elements each.
        public var output: UInt64
        /// Elements, even.
        public var outputStride: Int
        /// f16 or bf16.
        public var outputType: ElementType
        /// The schedule's tasks (``AttentionSchedule/withTaskBytes(_:)``).
        public var tasks: UInt64
        /// 32-bit ids of the cache blocks of all sequences.
        public var blocks: UInt64
        /// Last tokens that a token looks at, itself included; nil for all.
        public var window: Int?
        /// What products of queries and keys are multiplied with; nil for one over the root of a head's size.
        public var scale: Float?
        /// Scaled products become `cap * tanh(product / cap)`; nil if they stay as they are.
        public var cap: Float?

        public init(
            queries: UInt64, cache: UInt64, output: UInt64, outputStride: Int, outputType: ElementType, tasks: UInt64,
            blocks: UInt64, window: Int? = nil, scale: Float? = nil, cap: Float? = nil
        ) {
            self.queries = queries
            self.cache = cache
            self.output = output
            self.outputStride = outputStride
            self.outputType = outputType
            self.tasks = tasks
            self.blocks = blocks
            self.window = window
            self.scale = scale
            self.cap = cap
        }
    }

    /// Compiles the kernels.
    /// - Throws: `CUDAError`.
    public init(_ geometry: AttentionGeometry, _ library: KernelLibrary) throws(CUDAError) {
        self.geometry = geometry
        func load(_ shape: AttentionShape) throws(CUDAError) -> Kernel {
            try library.kernel(
                named: shape.name(headStride: geometry.headStride), in: "attention.cu",
                instance: shape.instance(headStride: geometry.headStride))
        }
        prompt = try load(.prompt)
        decode = try load(.decode)
        let blocks = try decode.blocksPerMultiprocessor(
            threads: AttentionShape.decode.threads(headStride: geometry.headStride),
            sharedBytes: AttentionShape.decode.sharedBytes(headStride: geometry.headStride))
        wantedBlocks = max(blocks, 1) * library.context.device.multiprocessors
    }

    /// Gives `output[t, h] = softmax(queries[t, h] * keys * scale) * values` to `stream`, over the tokens up
    /// to t itself, or the last `window` of these.
    ///
    /// Scores and sums are float32; weights are rounded to f16 before they meet the values.
    /// - Parameters:
    ///   - schedule: of the batch; only its numbers of tasks are used, the tasks themselves are in the GPU's memory.
    ///   - workspace: has room for the schedule's slots.
    /// - Throws: `CUDAError`.
    public func enqueue(
        _ operands: Operands, schedule: AttentionSchedule, workspace: AttentionWorkspace, on stream: Stream
    ) throws(CUDAError) {
        precondition(operands.outputStride % 2 == 0 && workspace.slotCount >= schedule.slotCount)
        precondition(operands.window ?? 1 >= 1)
        var parameters = flash_gpu_attention()
        parameters.queries = operands.queries
        parameters.cache = operands.cache
        parameters.output = operands.output
        parameters.tasks = operands.tasks
        parameters.blocks = operands.blocks
        parameters.partials = workspace.partials.address
        parameters.arrivals = workspace.arrivals.address
        parameters.cache_head_count = UInt32(geometry.cacheHeads)
        parameters.group = UInt32(geometry.group)
        parameters.head_size = UInt32(geometry.headSize)
        parameters.output_stride = UInt32(operands.outputStride)
        parameters.output_is_bf16 = operands.outputType == .bf16 ? 1 : 0
        // Weights are powers of two.
        let log2E: Float = 1.442_695_04
        parameters.scale = log2E * (operands.scale ?? 1 / Float(geometry.headSize).squareRoot())
        parameters.cap = log2E * (operands.cap ?? 0)
        parameters.window = UInt32(operands.window ?? 0)
        if schedule.decodeTasks > 0 { try launch(.decode, tasks: schedule.decodeTasks, parameters, on: stream) }
        guard schedule.promptTasks > 0 else { return }
        parameters.tasks += UInt64(schedule.decodeTasks * AttentionSchedule.taskBytes)
        try launch(.prompt, tasks: schedule.promptTasks, parameters, on: stream)
    }

    private func launch(
        _ shape: AttentionShape, tasks: Int, _ parameters: flash_gpu_attention, on stream: Stream
    ) throws(CUDAError) {
        let stride = geometry.headStride
        try (shape == .prompt ? prompt : decode).launch(
            grid: LaunchSize(tasks, geometry.cacheHeads), block: LaunchSize(shape.threads(headStride: stride)),
            sharedBytes: shape.sharedBytes(headStride: stride), parameters: parameters, isEarly: true,
            on: stream)
    }
}

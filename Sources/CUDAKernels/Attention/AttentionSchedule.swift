import CCUDA

/// How the attention of a batch is cut into blocks, the same for all layers.
///
/// A task is some tokens of a sequence and a part of its context; every cache head has a block for each. One part would
/// leave most of a GPU idle where few tokens look back at a long context. The cut depends on the batch's shape and on
/// the GPU's size alone, so the same batches give the same results.
public struct AttentionSchedule: Sendable {
    /// One sequence's tokens in a batch.
    public struct Run: Sendable {
        /// Places in the batch.
        public var tokens: Range<Int>
        /// Of the first of them in the sequence.
        public var firstPosition: Int
        /// Where the sequence's block ids begin among all.
        public var firstBlock: Int

        public init(tokens: Range<Int>, firstPosition: Int, firstBlock: Int) {
            self.tokens = tokens
            self.firstPosition = firstPosition
            self.firstBlock = firstBlock
        }

        /// Tokens of the sequence, these included.
        var length: Int { firstPosition + tokens.count }
    }

    private(set) var decode: [flash_gpu_attention_task] = []
    private(set) var prompt: [flash_gpu_attention_task] = []
    /// Partial outputs of both kinds.
    public private(set) var slotCount = 0

    /// Tasks of runs whose queries fit a block of decoding, and of all others.
    public var decodeTasks: Int { decode.count }
    public var promptTasks: Int { prompt.count }

    /// Tokens of the shortest part: shorter ones would spend more on joining than on their context.
    public static let shortestPart = 256

    /// - Parameters:
    ///   - runs: as in the batch.
    ///   - context: what tasks are cut for, at least the longest sequence; nil for that. Batches of as many runs of one
    ///     token and of the same value have the same tasks but for what is in them, empty ones included.
    ///   - wantedBlocks: how many blocks fill the GPU.
    ///   - shortestPart: tokens.
    public init(
        _ runs: [Run], geometry: AttentionGeometry, context: Int? = nil, wantedBlocks: Int,
        shortestPart: Int = Self.shortestPart
    ) {
        precondition(runs.allSatisfy { $0.length <= context ?? .max })
        let decodes = runs.filter { $0.tokens.count * geometry.group <= AttentionShape.decode.rows }
        let others = runs.filter { $0.tokens.count * geometry.group > AttentionShape.decode.rows }
        let tiles = others.flatMap { Self.tiles(of: $0, tokens: AttentionShape.prompt.rows / geometry.group) }
        for (shape, runs) in [(AttentionShape.decode, decodes), (.prompt, tiles)] {
            let longest = context ?? runs.map(\.length).max() ?? 0
            let parts = max(wantedBlocks / max(runs.count * geometry.cacheHeads, 1), 1)
            let tile = shape.tileTokens(headStride: geometry.headStride)
            let partTokens = (max((longest + parts - 1) / parts, shortestPart) + tile - 1) / tile * tile
            for run in runs {
                let slots = ((context ?? run.length) + partTokens - 1) / partTokens
                append(run, partTokens: partTokens, slots: slots, to: shape == .decode ? \.decode : \.prompt)
            }
        }
    }

    /// Those with the longest context first, so that no multiprocessor begins with them last.
    private static func tiles(of run: Run, tokens: Int) -> [Run] {
        stride(from: 0, to: run.tokens.count, by: tokens).reversed().map { offset in
            let first = run.tokens.lowerBound + offset
            return Run(
                tokens: first..<min(first + tokens, run.tokens.upperBound), firstPosition: run.firstPosition + offset,
                firstBlock: run.firstBlock)
        }
    }

    /// Adds `slots` tasks, of which those behind the context do nothing.
    private mutating func append(
        _ run: Run, partTokens: Int, slots: Int, to tasks: WritableKeyPath<Self, [flash_gpu_attention_task]>
    ) {
        let parts = (run.length + partTokens - 1) / partTokens
        for part in 0..<slots {
            self[keyPath: tasks].append(
                flash_gpu_attention_task(
                    first_token: UInt32(run.tokens.lowerBound), tokens: part < parts ? UInt32(run.tokens.count) : 0,
                    first_position: UInt32(run.firstPosition), first_block: UInt32(run.firstBlock),
                    context_begin: UInt32(min(part * partTokens, run.length)),
                    context_end: UInt32(min((part + 1) * partTokens, run.length)), part: UInt32(part),
                    parts: UInt32(parts), first_slot: UInt32(slotCount), unused: 0))
        }
        if slots > 1 { slotCount += slots }
    }

    /// The tasks as the kernels read them: those of decoding, then those of prompts.
    public func withTaskBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        (decode + prompt).withUnsafeBytes(body)
    }

    /// Bytes of one task.
    public static let taskBytes = MemoryLayout<flash_gpu_attention_task>.stride
}

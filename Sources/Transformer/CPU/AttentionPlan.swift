import CKernels
import Tensors

/// How a batch's attention is cut into tasks, the same for all layers that look at as many tokens.
///
/// A task is some tokens of one run, all query heads of one key-value head (they share the loads of keys and values),
/// and a part of the context. One part would leave most threads idle where a few tokens look back at a long context, so
/// it is cut ("flash decoding", Dao et al., 2023): each part gives an output, its largest score and its sum of weights,
/// and whoever finishes the last part joins them in their order. The cut depends on lengths alone, so results do not
/// depend on the number of threads.
struct AttentionPlan {
    struct Task {
        let run: Int
        let keyValueHead: Int
        /// Places in the batch.
        let tokens: Range<Int>
        /// Position of the first of these tokens in its sequence.
        let firstPosition: Int
        /// Tokens of the sequence that are looked at; begins at a whole block.
        let context: Range<Int>
        /// Which part of the context this is.
        let part: Int
        /// The place among ``AttentionPlan/joins``; nil if the context is in one part.
        let join: Int?
    }

    /// The outputs of several tasks that are one in the end.
    struct Join {
        let keyValueHead: Int
        let tokens: Range<Int>
        let partCount: Int
        /// Number of the first partial output: `[partCount, tokens, group]`.
        let firstPartial: Int
    }

    /// Where a token's keys and values go.
    struct CachePlace {
        let block: Int32
        let slot: Int32
    }

    private(set) var tasks: [Task] = []
    private(set) var joins: [Join] = []
    private(set) var partialCount = 0
    /// One for each token of the batch.
    private(set) var cachePlaces: [CachePlace] = []

    let shape: AttentionShape
    /// Tokens of one task: enough queries to share the loads, few enough tasks' worth to spread a prompt over threads.
    private let taskTokens: Int

    /// Tokens of the shortest part: what the kernel takes at once. Microseconds of work, so neither claiming a task
    /// nor joining weighs.
    static let partTokens = 16 * Int(FLASH_BLOCK_TOKENS)
    /// Tasks of one run and head that the cut aims at: with a few heads enough for dozens of threads.
    static let wantedTasks = 16

    init(_ configuration: ModelConfiguration, window: Int? = nil) {
        shape = AttentionShape(configuration, window: window)
        taskTokens = min(max(48 / shape.group, 1), 16)
    }

    /// Replaces the plan; its arrays keep their capacity.
    mutating func update(for batch: Batch) {
        tasks.removeAll(keepingCapacity: true)
        joins.removeAll(keepingCapacity: true)
        cachePlaces.removeAll(keepingCapacity: true)
        partialCount = 0
        let blockTokens = KeyValueCache.blockTokens
        for (index, run) in batch.runs.enumerated() {
            for offset in 0..<run.tokens.count {
                let position = run.firstPosition + offset
                cachePlaces.append(
                    CachePlace(
                        block: batch.blocks[run.blocks.lowerBound + position / blockTokens],
                        slot: Int32(position % blockTokens)))
            }
            let pieces = (run.tokens.count + taskTokens - 1) / taskTokens
            // Long contexts first, so that no thread begins the longest task last.
            for piece in (0..<pieces).reversed() {
                let first = run.tokens.lowerBound + piece * taskTokens
                let tokens = first..<min(first + taskTokens, run.tokens.upperBound)
                for head in 0..<shape.keyValueHeadCount {
                    append(tokens, of: run, index: index, pieces: pieces, head: head)
                }
            }
        }
    }

    private mutating func append(_ tokens: Range<Int>, of run: Batch.Run, index: Int, pieces: Int, head: Int) {
        let position = run.firstPosition + tokens.lowerBound - run.tokens.lowerBound
        // Of a window the first token's, from a whole block on.
        let blockTokens = KeyValueCache.blockTokens
        let begin = shape.window.map { max(position + 1 - $0, 0) / blockTokens * blockTokens } ?? 0
        let length = position + tokens.count - begin
        let most = max(Self.wantedTasks / pieces, 1)
        // Whole stretches of the kernel: a multiple of the shortest part.
        let step = ((length + most - 1) / most + Self.partTokens - 1) / Self.partTokens * Self.partTokens
        let partCount = (length + step - 1) / step
        var join: Int?
        if partCount > 1 {
            join = joins.count
            joins.append(
                Join(keyValueHead: head, tokens: tokens, partCount: partCount, firstPartial: partialCount))
            partialCount += partCount * tokens.count * shape.group
        }
        for part in 0..<partCount {
            tasks.append(
                Task(
                    run: index, keyValueHead: head, tokens: tokens, firstPosition: position,
                    context: begin + part * step..<begin + min((part + 1) * step, length), part: part, join: join))
        }
    }
}

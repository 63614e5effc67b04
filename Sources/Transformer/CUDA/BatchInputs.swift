import CUDA
import CUDAKernels
import Tensors

/// What a batch is, in a GPU's memory: one small copy at the beginning of each.
///
///     tokens     Int32 [tokens]   ids
///     positions  Int32 [tokens]   in their sequences, with RotationTable.longSequence in long ones
///     slots      Int32 [tokens]   cache block * 16 + place in the block
///     tasks                       of attention
///     blocks     Int32            cache block ids of all runs
///
/// Addresses depend on the numbers of tokens and tasks alone, so that a recorded graph finds the next batch there.
final class BatchInputs {
    private let stream: CUDA.Stream
    /// Says which sequences are long ones. A window's own way to rotate never asks.
    private let rotary: RotaryParameters?
    private var host: PinnedBuffer
    /// Replaced by a larger one when a batch needs it.
    private(set) var buffer: DeviceBuffer
    /// When the last copy is done with the host's memory.
    private let copied: Event
    private var isCopying = false
    private var tokenCount = 0
    private var taskBytes = 0

    init(byteCount: Int, rotary: RotaryParameters?, on stream: CUDA.Stream) throws(CUDAError) {
        self.stream = stream
        self.rotary = rotary
        host = try PinnedBuffer(byteCount: byteCount, in: stream.context)
        buffer = try DeviceBuffer(byteCount: byteCount, in: stream.context)
        copied = try Event(timing: false, in: stream.context)
    }

    var tokens: UInt64 { buffer.address }
    var positions: UInt64 { buffer.address(at: 4 * tokenCount) }
    var slots: UInt64 { buffer.address(at: 8 * tokenCount) }
    var tasks: UInt64 { buffer.address(at: 12 * tokenCount) }
    var blocks: UInt64 { buffer.address(at: 12 * tokenCount + taskBytes) }

    /// Gives the copy of a batch to the stream.
    /// - Returns: whether the addresses are others than before because more memory was needed.
    func enqueue(_ batch: Batch, _ schedule: AttentionSchedule) throws(CUDAError) -> Bool {
        tokenCount = batch.tokens.count
        taskBytes = (schedule.decodeTasks + schedule.promptTasks) * AttentionSchedule.taskBytes
        let byteCount = 12 * tokenCount + taskBytes + 4 * batch.blocks.count
        if isCopying { try copied.synchronize() }
        let isGrowing = byteCount > buffer.byteCount
        if isGrowing {
            host = try PinnedBuffer(byteCount: 2 * byteCount, in: stream.context)
            buffer = try DeviceBuffer(byteCount: 2 * byteCount, in: stream.context)
        }
        fill(batch, schedule)
        try buffer.enqueueCopy(from: UnsafeRawBufferPointer(rebasing: host.bytes[..<byteCount]), on: stream)
        try copied.record(on: stream)
        isCopying = true
        return isGrowing
    }

    private func fill(_ batch: Batch, _ schedule: AttentionSchedule) {
        let words = host.elements(as: Int32.self)
        let blockTokens = KeyValueCache.blockTokens
        for (token, id) in batch.tokens.enumerated() {
            words[token] = id
            let isLong = rotary?.isLong(Int(batch.lengths[token])) ?? false
            words[tokenCount + token] = batch.positions[token] + (isLong ? RotationTable.longSequence : 0)
        }
        for run in batch.runs {
            for token in run.tokens {
                let position = run.firstPosition + token - run.tokens.lowerBound
                let block = batch.blocks[run.blocks.lowerBound + position / blockTokens]
                words[2 * tokenCount + token] = block * Int32(blockTokens) + Int32(position % blockTokens)
            }
        }
        let bytes = host.bytes
        schedule.withTaskBytes { tasks in
            UnsafeMutableRawBufferPointer(rebasing: bytes[(12 * tokenCount)...]).copyMemory(from: tasks)
        }
        let firstBlock = (12 * tokenCount + taskBytes) / 4
        for (index, block) in batch.blocks.enumerated() { words[firstBlock + index] = block }
    }
}

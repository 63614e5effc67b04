import CUDA
import CUDAKernels
import GPUCases
import Tensors
import TestSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Attention of one batch over random keys and values, and what it should give.
struct AttentionCase {
    var geometry: AttentionGeometry
    /// Of each sequence: tokens in the cache before, and tokens of the batch.
    var sequences: [(past: Int, tokens: Int)]
    var outputType = ElementType.f16
    /// 1 leaves every context in one part.
    var wantedBlocks = 1
    var shortestPart = 64
    /// What tasks are cut for; nil for the longest context.
    var context: Int?
    /// Last tokens that a token looks at; nil for all.
    var window: Int?
    /// What scores are multiplied with; nil for one over the root of a head's size.
    var scale: Float?
    /// What scores are kept below; nil for none.
    var cap: Float?
    /// How far queries are spread: large ones make one weight outweigh all others.
    var spread: Float = 2
    var seed: UInt64 = 1

    private static let blockTokens = AttentionGeometry.blockTokens

    var tokenCount: Int { sequences.reduce(0) { $0 + $1.tokens } }

    /// Each sequence's cache blocks, in no order.
    private var blocks: [[Int32]] {
        var generator = SplitMix64(seed: seed)
        let counts = sequences.map { ($0.past + $0.tokens + Self.blockTokens - 1) / Self.blockTokens }
        var free = (0..<Int32(counts.reduce(0, +) + 2)).shuffled(using: &generator)
        return counts.map { count in
            defer { free.removeFirst(count) }
            return Array(free.prefix(count))
        }
    }

    private var blockCount: Int { blocks.reduce(2) { $0 + $1.count } }

    /// f16 of one sequence: keys or values `[tokens, cacheHeads, headSize]`.
    private func tensor(_ sequence: Int, _ kind: Int) -> [Float] {
        let count = (sequences[sequence].past + sequences[sequence].tokens) * geometry.cacheHeads * geometry.headSize
        return Numbers.floats(count, seed: seed &+ UInt64(2 * sequence + kind + 1) &* 1_000).map { Float(Float16($0)) }
    }

    /// f16 `[tokens, queryHeads, headSize]`
    private var queries: [Float] {
        Numbers.floats(tokenCount * geometry.queryHeads * geometry.headSize, in: -spread...spread, seed: seed &+ 7)
            .map { Float(Float16($0)) }
    }

    /// What lies where no token is: NaN, which would spoil every sum.
    private var cache: [UInt16] {
        let (heads, size, stride) = (geometry.cacheHeads, geometry.headSize, geometry.headStride)
        var cache = [UInt16](repeating: 0xFFFF, count: blockCount * geometry.blockBytes / 2)
        for (sequence, blocks) in blocks.enumerated() {
            for kind in 0..<2 {
                let elements = tensor(sequence, kind)
                for index in 0..<elements.count / size {
                    let (token, head) = index.quotientAndRemainder(dividingBy: heads)
                    let block = Int(blocks[token / Self.blockTokens])
                    let row = ((block * 2 + kind) * heads + head) * Self.blockTokens + token % Self.blockTokens
                    for element in 0..<stride {
                        cache[row * stride + element] =
                            element < size ? Float16(elements[index * size + element]).bitPattern : 0
                    }
                }
            }
        }
        return cache
    }

    private var paddedQueries: [UInt16] {
        let (size, stride) = (geometry.headSize, geometry.headStride)
        let queries = queries
        return (0..<queries.count / size * stride).map { index in
            let (row, element) = index.quotientAndRemainder(dividingBy: stride)
            return element < size ? Float16(queries[row * size + element]).bitPattern : 0
        }
    }

    var schedule: AttentionSchedule {
        var firstToken = 0
        var firstBlock = 0
        let runs = zip(sequences, blocks).map { sequence, blocks in
            defer {
                firstToken += sequence.tokens
                firstBlock += blocks.count
            }
            return AttentionSchedule.Run(
                tokens: firstToken..<firstToken + sequence.tokens, firstPosition: sequence.past, firstBlock: firstBlock)
        }
        return AttentionSchedule(
            runs, geometry: geometry, context: context, wantedBlocks: wantedBlocks,
            shortestPart: shortestPart)
    }

    /// What the GPU gives, `[tokens, queryHeads * headSize]`; `repeats` runs must all give the same.
    func result(on gpu: TestedGPU, repeats: Int = 1) throws -> [Double] {
        let stream = gpu.stream
        let attention = try Attention(geometry, gpu.library)
        let schedule = schedule
        let workspace = try AttentionWorkspace(geometry, on: stream)
        try workspace.reserve(slots: schedule.slotCount)
        var words: [UInt8] = []
        schedule.withTaskBytes { words = Array($0) }
        let width = geometry.queryHeads * geometry.headSize
        let stride = (width + 7) / 8 * 8 + 8
        let queries = try DeviceBuffer(paddedQueries, on: stream), cache = try DeviceBuffer(cache, on: stream)
        let tasks = try DeviceBuffer(words, on: stream), blocks = try DeviceBuffer(blocks.flatMap(\.self), on: stream)
        let output = try DeviceBuffer.poisoned(UInt16.self, count: tokenCount * stride, on: stream)
        var results: [[UInt16]] = []
        for _ in 0..<repeats {
            try attention.enqueue(
                Attention.Operands(
                    queries: queries.address, cache: cache.address, output: output.address, outputStride: stride,
                    outputType: outputType, tasks: tasks.address, blocks: blocks.address, window: window,
                    scale: scale, cap: cap),
                schedule: schedule, workspace: workspace, on: stream)
            results.append(try output.read(UInt16.self, count: tokenCount * stride, on: stream))
        }
        precondition(results.allSatisfy { $0 == results[0] }, "two runs differ")
        precondition(
            results[0].indices.allSatisfy { $0 % stride < width || results[0][$0] == 0xFFFF }, "written behind a row")
        return results[0].indices.filter { $0 % stride < width }.map { Numbers.value(results[0][$0], outputType) }
    }

    /// The largest error in units of what is allowed: the rounding of weights to f16, and of the output.
    func largestError(_ result: [Double]) -> Double {
        let (heads, group, size) = (geometry.cacheHeads, geometry.group, geometry.headSize)
        let queries = queries
        var expected: [Double] = []
        var magnitudes: [Double] = []
        var first = 0
        for (sequence, run) in sequences.enumerated() {
            let (keys, values) = (tensor(sequence, 0), tensor(sequence, 1))
            for token in 0..<run.tokens {
                for head in 0..<heads * group {
                    let firstQuery: Int = ((first + token) * heads * group + head) * size
                    var scores: [Double] = []
                    let last = run.past + token
                    let begin = max(last + 1 - (window ?? .max), 0)
                    for position in begin...last {
                        let firstKey: Int = (position * heads + head / group) * size
                        var score = 0.0
                        for element in 0..<size {
                            score += Double(queries[firstQuery + element]) * Double(keys[firstKey + element])
                        }
                        score *= scale.map(Double.init) ?? 1 / Double(size).squareRoot()
                        scores.append(cap.map { Double($0) * tanh(score / Double($0)) } ?? score)
                    }
                    let largest = scores.max()!
                    let weights = scores.map { exp($0 - largest) }
                    let total = weights.reduce(0, +)
                    for element in 0..<size {
                        var sum = 0.0
                        var magnitude = 0.0
                        for (offset, weight) in weights.enumerated() {
                            let position = begin + offset
                            let product = weight * Double(values[(position * heads + head / group) * size + element])
                            sum += product
                            magnitude += abs(product)
                        }
                        expected.append(sum / total)
                        magnitudes.append(magnitude / total)
                    }
                }
            }
            first += run.tokens
        }
        return Numbers.largestError(result, expected) { index, value in
            1.01 * (magnitudes[index] * 0x1p-11 + abs(value) * Numbers.rounding(outputType)) + 1e-6
        }
    }
}

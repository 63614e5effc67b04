import CKernels
import Sparse
import TestSupport

/// One layer of a blocked cache whose blocks are shuffled; whatever holds no token is NaN. CKernels.h has the layout.
final class AttentionCache {
    let width: Int
    private let heads: Int
    private let type: flash_cache_type
    private let bytes: GuardedBuffer<UInt8>
    private let blocks: [Int32]
    private var layer: flash_cache_layer
    /// What scores are capped at; 0: not.
    var cap: Float = 0
    private let scratch = GuardedBuffer([UInt64](repeating: .max, count: Kernels.scratchByteCount / 8))

    /// Filled with random keys and values by `kernels`.
    init(
        tokens: Int, heads: Int, width: Int, type: flash_cache_type, seed: UInt64,
        kernels: Kernels = Kernels(instructionSet: "portable")!
    ) {
        self.width = width
        self.heads = heads
        self.type = type
        var generator = SplitMix64(seed: seed)
        let count = (tokens + 15) / 16
        // More blocks than are used, and room for another layer in each superblock.
        blocks = Array((0..<Int32(count + 2)).shuffled(using: &generator).prefix(count))
        let layerBytes = 8 * 2 * heads * Self.headBytes(width, type)
        let total = (count + 2 + 7) / 8 * 2 * layerBytes
        // NaN as f32 and as f16; int8 gets scales that are NaN.
        let nan: [UInt8] = type == FLASH_CACHE_F16 ? [0xFF, 0x7F] : [0xFF, 0xFF, 0xFF, 0x7F]
        bytes = GuardedBuffer((0..<total).map { nan[$0 % nan.count] })
        layer = flash_cache_layer(
            layer: bytes.pointer, type: type, superblock_stride: Int64(2 * layerBytes),
            kv_heads: Int64(heads), head_width: Int64(width))
        for token in 0..<tokens {
            let keys = (0..<heads * width).map { _ in Float.random(in: -2...2, using: &generator) }
            let values = (0..<heads * width).map { _ in Float.random(in: -2...2, using: &generator) }
            append(kernels, token: token, keys: keys, values: values)
        }
    }

    var memory: [UInt8] { Array(bytes.elements) }

    func restore(_ memory: [UInt8]) { _ = bytes.elements.update(fromContentsOf: memory) }

    /// Elements of a head: int8 comes in pairs.
    private static func storedWidth(_ width: Int, _ type: flash_cache_type) -> Int {
        type == FLASH_CACHE_I8 ? (width + 1) / 2 * 2 : width
    }

    private static func headBytes(_ width: Int, _ type: flash_cache_type) -> Int {
        16 * (storedWidth(width, type) * type.byteCount + (type == FLASH_CACHE_I8 ? 4 : 0))
    }

    /// Where the head of a token's block begins: its keys, or behind those of the superblock its values.
    private func start(_ token: Int, _ head: Int, values: Bool) -> Int {
        let (superblock, place) = Int(blocks[token / 16]).quotientAndRemainder(dividingBy: 8)
        return superblock * Int(layer.superblock_stride)
            + (16 * head + (values ? 8 : 0) + place) * Self.headBytes(width, type)
    }

    private func load(_ start: Int, _ index: Int, slot: Int) -> Float {
        let address = UnsafeRawPointer(bytes.pointer) + start + index * type.byteCount
        switch type {
        case FLASH_CACHE_F16: return Float(Float16(bitPattern: address.load(as: UInt16.self)))
        case FLASH_CACHE_I8: return Float(address.load(as: Int8.self)) * scale(start, slot: slot)
        default: return address.load(as: Float.self)
        }
    }

    private func scale(_ start: Int, slot: Int) -> Float {
        let place = start + 16 * Self.storedWidth(width, type) + 4 * slot
        return (UnsafeRawPointer(bytes.pointer) + place).load(as: Float.self)
    }

    func key(_ token: Int, _ head: Int) -> [Float] {
        let start = start(token, head, values: false), slot = token % 16
        return (0..<width).map { d in
            let place = type == FLASH_CACHE_I8 ? (d / 2 * 16 + slot) * 2 + d % 2 : d * 16 + slot
            return load(start, place, slot: slot)
        }
    }

    func value(_ token: Int, _ head: Int) -> [Float] {
        let start = start(token, head, values: true), slot = token % 16
        let stored = Self.storedWidth(width, type)
        return (0..<width).map { d in
            let place = type == FLASH_CACHE_I8 ? (slot / 2 * stored + d) * 2 + slot % 2 : slot * width + d
            return load(start, place, slot: slot)
        }
    }

    /// Of int8 only.
    func scales(_ token: Int, _ head: Int) -> (key: Float, value: Float) {
        (
            scale(start(token, head, values: false), slot: token % 16),
            scale(start(token, head, values: true), slot: token % 16)
        )
    }

    func append(_ kernels: Kernels, token: Int, keys: [Float], values: [Float]) {
        kernels.table.append(&layer, Int64(blocks[token / 16]), Int64(token % 16), keys, values)
    }

    func reference(head: Int, scale: Float, query: [Float], start: Int = 0, length: Int) -> [Float] {
        var output = [Float](repeating: .nan, count: width)
        flash_reference_attend(&layer, blocks, Int64(head), scale, cap, query, Int64(start), Int64(length), &output)
        return output
    }

    /// One row for every query, through one call of the kernel over the whole context or the blocks that it needs.
    func attend(
        _ kernels: Kernels, head: Int, scale: Float, queries: [[Float]], lengths: [Int], starts: [Int]? = nil
    ) -> [[Float]] {
        let first = (starts?.min() ?? 0) / 16 * 16
        return call(kernels, head, scale, queries, lengths, starts, tokens: first..<lengths.max()!, isPart: false)
    }

    /// The same in parts that end at the given tokens, then joined.
    func attendInParts(
        _ kernels: Kernels, head: Int, scale: Float, queries: [[Float]], lengths: [Int], starts: [Int]? = nil,
        ends: [Int]
    ) -> [[Float]] {
        var parts: [[[Float]]] = []
        for (first, end) in zip([0] + ends, ends) {
            parts.append(call(kernels, head, scale, queries, lengths, starts, tokens: first..<end, isPart: true))
        }
        return queries.indices.map { query in
            // Rows farther apart than they are long; what lies between must not matter.
            let stride = width + 7
            let padding = [Float](repeating: .nan, count: 5)
            let rows = GuardedBuffer(Array(parts.map { $0[query] + padding }.joined()))
            let output = GuardedBuffer([Float](repeating: .nan, count: width))
            kernels.table.join_attention(
                rows.pointer, Int64(stride), Int64(parts.count), Int64(width), output.pointer)
            return Array(output.elements)
        }
    }

    private func call(
        _ kernels: Kernels, _ head: Int, _ scale: Float, _ queries: [[Float]], _ lengths: [Int], _ starts: [Int]?,
        tokens: Range<Int>, isPart: Bool
    ) -> [[Float]] {
        let firsts = starts.map { GuardedBuffer($0.map { Int64($0) }) }
        let inputs = queries.map { GuardedBuffer($0) }
        let outputs = queries.map { _ in GuardedBuffer([Float](repeating: .nan, count: width + (isPart ? 2 : 0))) }
        let inputPointers = inputs.map { Optional(UnsafePointer($0.pointer)) }
        let outputPointers = outputs.map { Optional($0.pointer) }
        inputPointers.withUnsafeBufferPointer { inputs in
            outputPointers.withUnsafeBufferPointer { outputs in
                lengths.map { Int64($0) }.withUnsafeBufferPointer { lengths in
                    blocks.withUnsafeBufferPointer { blocks in
                        var attention = flash_attention(
                            block_table: blocks.baseAddress, kv_head: Int64(head), scale: scale, cap: cap,
                            first_token: Int64(tokens.lowerBound), end_token: Int64(tokens.upperBound),
                            query_count: Int64(queries.count), queries: inputs.baseAddress,
                            lengths: lengths.baseAddress, starts: firsts.map { UnsafePointer($0.pointer) },
                            outputs: outputs.baseAddress, is_part: isPart ? 1 : 0, scratch: scratch.pointer,
                            next_block_table: nil, next_kv_head: 0, next_first_token: 0, next_end_token: 0)
                        kernels.table.attend(&layer, &attention)
                    }
                }
            }
        }
        return withExtendedLifetime((inputs, firsts)) { outputs.map { Array($0.elements) } }
    }
}

extension flash_cache_type {
    var byteCount: Int { self == FLASH_CACHE_F32 ? 4 : self == FLASH_CACHE_F16 ? 2 : 1 }

    /// A value as a cache of this type holds it; `scale` is for int8 alone.
    func rounded(_ value: Float, scale: Float) -> Float {
        switch self {
        case FLASH_CACHE_F16: Float(Float16(value))
        case FLASH_CACHE_I8: (value / scale).rounded() * scale
        default: value
        }
    }
}

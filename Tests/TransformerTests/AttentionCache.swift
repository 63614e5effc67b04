import CKernels
import Sparse
import TestSupport

/// One layer of a blocked cache whose blocks are shuffled; whatever holds no token is NaN. CKernels.h has the layout.
final class AttentionCache {
    let width: Int
    private let heads: Int
    private let element: flash_element
    private let bytes: GuardedBuffer<UInt8>
    private let blocks: [Int32]
    private var layer: flash_cache_layer

    init(tokens: Int, heads: Int, width: Int, element: flash_element, seed: UInt64) {
        self.width = width
        self.heads = heads
        self.element = element
        var generator = SplitMix64(seed: seed)
        let count = (tokens + 15) / 16
        // More blocks than are used, and room for another layer in each.
        blocks = Array((0..<Int32(count + 2)).shuffled(using: &generator).prefix(count))
        let layerElements = 2 * heads * width * 16
        let total = (count + 2) * 2 * layerElements
        let nan: [UInt8] = element == FLASH_F16 ? [0xFF, 0x7F] : [0xFF, 0xFF, 0xFF, 0x7F]
        bytes = GuardedBuffer((0..<total * nan.count).map { nan[$0 % nan.count] })
        layer = flash_cache_layer(
            layer: bytes.pointer, element: element, block_stride: Int64(2 * layerElements), kv_heads: Int64(heads),
            head_width: Int64(width))
        for token in 0..<tokens {
            for head in 0..<heads {
                for place in 0..<width {
                    store(.random(in: -2...2, using: &generator), keyIndex(token, head, place))
                    store(.random(in: -2...2, using: &generator), valueIndex(token, head, place))
                }
            }
        }
    }

    var memory: [UInt8] { Array(bytes.elements) }

    func restore(_ memory: [UInt8]) { _ = bytes.elements.update(fromContentsOf: memory) }

    private func block(_ token: Int) -> Int { Int(blocks[token / 16]) * Int(layer.block_stride) }

    private func keyIndex(_ token: Int, _ head: Int, _ place: Int) -> Int {
        block(token) + head * width * 16 + place * 16 + token % 16
    }

    private func valueIndex(_ token: Int, _ head: Int, _ place: Int) -> Int {
        block(token) + heads * width * 16 + head * width * 16 + token % 16 * width + place
    }

    private func store(_ value: Float, _ index: Int) {
        let address = UnsafeMutableRawPointer(bytes.pointer) + index * element.byteCount
        if element == FLASH_F16 {
            address.storeBytes(of: Float16(value).bitPattern, as: UInt16.self)
        } else {
            address.storeBytes(of: value, as: Float.self)
        }
    }

    private func load(_ index: Int) -> Float {
        let address = UnsafeRawPointer(bytes.pointer) + index * element.byteCount
        return element == FLASH_F16
            ? Float(Float16(bitPattern: address.load(as: UInt16.self))) : address.load(as: Float.self)
    }

    func key(_ token: Int, _ head: Int) -> [Float] { (0..<width).map { load(keyIndex(token, head, $0)) } }
    func value(_ token: Int, _ head: Int) -> [Float] { (0..<width).map { load(valueIndex(token, head, $0)) } }

    func append(_ kernels: Kernels, token: Int, keys: [Float], values: [Float]) {
        kernels.table.append(&layer, Int64(blocks[token / 16]), Int64(token % 16), keys, values)
    }

    func reference(head: Int, scale: Float, query: [Float], length: Int) -> [Float] {
        var output = [Float](repeating: .nan, count: width)
        flash_reference_attend(&layer, blocks, Int64(head), scale, query, Int64(length), &output)
        return output
    }

    /// One row for every query, through one call of the kernel.
    func attend(_ kernels: Kernels, head: Int, scale: Float, queries: [[Float]], lengths: [Int]) -> [[Float]] {
        let inputs = queries.map { GuardedBuffer($0) }
        let outputs = queries.map { _ in GuardedBuffer([Float](repeating: .nan, count: width)) }
        kernels.table.attend(
            &layer, blocks, Int64(head), scale, Int64(queries.count), inputs.map { UnsafePointer($0.pointer) },
            lengths.map { Int64($0) }, outputs.map { $0.pointer })
        return withExtendedLifetime(inputs) { outputs.map { Array($0.elements) } }
    }
}

extension flash_element {
    var byteCount: Int { self == FLASH_F32 ? 4 : 2 }

    /// A value as a cache of this type holds it.
    func rounded(_ value: Float) -> Float { self == FLASH_F16 ? Float(Float16(value)) : value }
}

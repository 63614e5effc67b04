import CKernels
import OrderedJSON
import Tensors
import TestSupport
import Testing

@testable import Checkpoints

/// Blocks and the values that the `gguf` Python package makes of them; see scripts/make-gguf-vectors.
private struct Vector {
    let type: GGUFTensorType
    let blocks: [UInt8]
    let values: [UInt32]

    static func all() throws -> [Vector] {
        let folder = FileSystem.split(#filePath).folder
        let file = try FileSystem.map(folder + "/Fixtures/gguf-vectors.json")
        let entries = try withExtendedLifetime(file) {
            try JSON(parsing: UnsafeRawBufferPointer(file.bytes.buffer)).arrayValue ?? []
        }
        return try entries.map { entry in
            let name = entry["type"]?.stringValue
            let type = try #require(GGUFTensorType.allCases.first { "\($0)" == name })
            let values = hexadecimal(entry["values"]?.stringValue ?? "")
            return Vector(
                type: type, blocks: hexadecimal(entry["blocks"]?.stringValue ?? ""),
                values: values.withUnsafeBytes { bytes in
                    (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self) }
                })
        }
    }

    private static func hexadecimal(_ text: String) -> [UInt8] {
        let digits = Array(text.utf8)
        return stride(from: 0, to: digits.count, by: 2).map { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)!
        }
    }
}

extension WeightType {
    /// `decode` into memory that outlives the call.
    fileprivate func decode<Element>(
        _ stored: weight_encoding, from input: UnsafeRawPointer, count: Int, to output: AlignedBuffer<Element>
    ) -> Int? {
        output.withBytes { decode(stored, from: input, count: count, to: $0.baseAddress!) }
    }
}

@Suite struct DequantizationTests {
    @Test func agreesWithTheReferenceBitForBit() throws {
        let vectors = try Vector.all()
        #expect(
            Set(vectors.map(\.type)) == Set(GGUFTensorType.allCases.filter(\.encoding.isReadable)).subtracting([.F32]))
        for vector in vectors {
            let encoding = vector.type.encoding
            #expect(encoding.byteCount(elementCount: vector.values.count) == vector.blocks.count)
            // An odd address: blocks lie anywhere.
            let shifted = [UInt8](repeating: 0, count: 1) + vector.blocks
            let output = AlignedBuffer<UInt32>(repeating: 0, count: vector.values.count)
            let bad = shifted.withUnsafeBytes { bytes in
                WeightType.f32.decode(
                    encoding.decoder!, from: bytes.baseAddress! + 1, count: vector.values.count, to: output)
            }
            #expect(bad == nil)
            #expect(output.array == vector.values, "\(vector.type)")
        }
    }

    @Test func narrowsWhatItDecodes() throws {
        for vector in try Vector.all() {
            let output = AlignedBuffer<UInt16>(repeating: 0, count: vector.values.count)
            let decoder = vector.type.encoding.decoder!
            func decode(_ type: WeightType) -> Int? {
                vector.blocks.withUnsafeBytes {
                    type.decode(decoder, from: $0.baseAddress!, count: vector.values.count, to: output)
                }
            }
            let values = vector.values.map(Float.init(bitPattern:))
            let halves = values.map { Float16($0) }
            #expect(decode(.f16) == halves.firstIndex { !$0.isFinite })
            #expect(output.array == halves.map(\.bitPattern), "\(vector.type)")
            #expect(decode(.bf16) == nil)
            #expect(output.array == values.map(nearestBF16), "\(vector.type)")
        }
    }

    /// Runs longer than the decoder's chunk, and the place of the first bad element anywhere in them.
    @Test(arguments: [1, 2, 1023, 1024, 1025, 3000]) func findsTheFirstBadElement(count: Int) {
        var generator = SplitMix64(seed: 7)
        for type in WeightType.allCases {
            for bad in [Float.nan, .infinity, -.infinity] {
                var values = (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
                let output = AlignedBuffer<Float>(repeating: 0, count: count)
                let clean = type.decode(WEIGHT_F32, from: values, count: count, to: output)
                #expect(clean == nil)
                let first = Int.random(in: 0..<count, using: &generator)
                values[first] = bad
                values[count - 1] = bad
                #expect(type.decode(WEIGHT_F32, from: values, count: count, to: output) == first)
                let found = output.withBytes { bytes in
                    type.firstNonFinite(in: UnsafeRawBufferPointer(rebasing: bytes[..<(count * type.byteCount)]))
                }
                #expect(found == first)
            }
        }
    }

    @Test func tellsOverflow() {
        let output = AlignedBuffer<UInt16>(repeating: 0, count: 4)
        let fits: [Float] = [65504, -65504, 65519.996, 0]
        #expect(WeightType.f16.decode(WEIGHT_F32, from: fits, count: 4, to: output) == nil)
        #expect(
            WeightType.f16.decode(WEIGHT_F32, from: [0, 0, 65520, 0] as [Float], count: 4, to: output) == 2)
        let huge: [Float] = [0, .greatestFiniteMagnitude, 0, 0]
        #expect(WeightType.bf16.decode(WEIGHT_F32, from: huge, count: 4, to: output) == 1)
        #expect(WeightType.f32.firstNonFinite(in: UnsafeRawBufferPointer(start: nil, count: 0)) == nil)
    }
}

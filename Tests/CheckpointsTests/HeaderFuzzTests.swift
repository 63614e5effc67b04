import Tensors
import TestSupport
import Testing

@testable import Checkpoints

/// Damaged headers must either parse or throw: no crash, no hang, no allocation beyond the file's own size.
@Suite struct HeaderFuzzTests {
    /// A few random bytes, runs of 0xFF or 0 (sizes that overflow), or a cut.
    private func mutate(_ original: [UInt8], _ generator: inout SplitMix64) -> [UInt8] {
        var bytes = original
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            guard !bytes.isEmpty else { break }
            let position = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes[position] = .random(in: 0...255, using: &generator)
            case 1: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 2:
                let value: UInt8 = Bool.random(using: &generator) ? 0xFF : 0
                for index in position..<min(position + 8, bytes.count) { bytes[index] = value }
            case 3:
                bytes.removeSubrange(position..<min(position + Int.random(in: 1...9, using: &generator), bytes.count))
            case 4: bytes.insert(contentsOf: bytes[position..<min(position + 16, bytes.count)], at: position)
            default: bytes.removeSubrange(position...)
            }
        }
        return bytes
    }

    private func ggufFile() -> [UInt8] {
        var builder = GGUFBuilder.llama(width: 4, heads: 1)
        builder.add("tokenizer.ggml.model", "gpt2")
        builder.add("tokenizer.ggml.tokens", ["a", "b", "\u{120}c"])
        builder.add("tokenizer.ggml.merges", ["a b"])
        builder.add("tokenizer.ggml.token_type", [1, 1, 3])
        builder.add("tokenizer.ggml.bos_token_id", UInt32(1))
        builder.add("llama.rope.scaling.type", "linear")
        builder.add("llama.rope.scaling.factor", Float(2))
        builder.addTensor("blk.0.attn_q.weight", [4, 4], floats: [Float](repeating: 1, count: 16))
        builder.addTensor("blk.0.attn_q.bias", [4], floats: [1, 2, 3, 4])
        builder.addTensor("token_embd.weight", [32, 2], type: 3, bytes: [UInt8](repeating: 0, count: 40))
        return builder.file
    }

    @Test(.timeLimit(.minutes(20))) func survivesMutatedGGUF() {
        let original = ggufFile()
        var generator = SplitMix64(seed: 3)
        var opened = 0
        for _ in 0..<40_000 {
            let bytes = mutate(original, &generator)
            guard let header = try? GGUFHeader(parsing: Storage(bytes), path: "fuzz.gguf") else { continue }
            opened += 1
            for value in header.metadata.values {
                guard let array = value.arrayValue else { continue }
                _ = try? array.strings()
                _ = array.integers()
                _ = array.floats()
            }
            for tensor in header.tensors.values {
                #expect(tensor.byteRange.lowerBound >= 0 && tensor.byteRange.upperBound <= bytes.count)
            }
        }
        #expect(opened > 1000)  // mutations that all die at the magic number would test little
    }

    /// The layers above the header: configuration, names, tokenizer, reading.
    @Test(.timeLimit(.minutes(20))) func survivesMutatedGGUFModels() {
        let folder = TemporaryFolder()
        let original = ggufFile()
        var generator = SplitMix64(seed: 4)
        var opened = 0
        for _ in 0..<5_000 {
            let path = folder.write(mutate(original, &generator), to: "fuzz.gguf")
            guard let checkpoint = try? Checkpoint.open(path: path) else { continue }
            opened += 1
            _ = try? checkpoint.tokenizerSource()
            for tensor in checkpoint.tensors where tensor.elementCount < 1 << 16 {
                let output = AlignedBuffer<UInt16>(repeating: 0, count: tensor.elementCount)
                try? output.withBytes { try checkpoint.read(tensor.name, as: .bf16, into: $0) }
            }
        }
        #expect(opened > 100)
    }

    @Test(.timeLimit(.minutes(20))) func survivesMutatedSafetensors() {
        let header = """
            {"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},\
            "b":{"dtype":"BOOL","shape":[],"data_offsets":[24,25]},\
            "c":{"dtype":"F16","shape":[0,4],"data_offsets":[25,25]}}
            """
        let original = safetensors(header, data: [UInt8](repeating: 0, count: 25))
        var generator = SplitMix64(seed: 5)
        var opened = 0
        for _ in 0..<40_000 {
            let bytes = mutate(original, &generator)
            guard let parsed = try? SafetensorsHeader(parsing: Storage(bytes), path: "fuzz") else { continue }
            opened += 1
            for tensor in parsed.tensors.values {
                #expect(tensor.byteRange.lowerBound >= 8 && tensor.byteRange.upperBound <= bytes.count)
                let description = TensorDescription(
                    name: tensor.name, shape: tensor.shape, encoding: tensor.encoding,
                    byteCount: tensor.byteRange.count, path: "")
                #expect(description.rows == 0 || description.elementCount / description.rows == description.columns)
            }
        }
        #expect(opened > 500)
    }
}

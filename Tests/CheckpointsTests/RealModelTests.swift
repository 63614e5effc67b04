#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import OrderedJSON
import Tensors
import Testing

@testable import Checkpoints

private func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// Converts a real model for scripts/compare-checkpoint, which compares the result with other people's software:
///
///     FLASH_LLM_TEST_MODEL=model.gguf FLASH_LLM_TEST_OUTPUT=/tmp/converted swift test --filter RealModelTests
///     scripts/compare-checkpoint model.gguf /tmp/converted
@Suite(.enabled(if: environment("FLASH_LLM_TEST_OUTPUT") != nil, "FLASH_LLM_TEST_OUTPUT names no folder"))
struct RealModelTests {
    @Test func convertsToHuggingFacesLayout() throws {
        let checkpoint = try Checkpoint.open(path: try #require(environment("FLASH_LLM_TEST_MODEL")))
        let output = try #require(environment("FLASH_LLM_TEST_OUTPUT"), "FLASH_LLM_TEST_OUTPUT names no folder")
        let folder = try FolderWriter(path: output, overwriting: true)
        try folder.write(checkpoint.configuration.text(pretty: true), to: "config.json")
        let writer = try SafetensorsWriter(
            path: folder.partialPath(of: "model.safetensors"), names: checkpoint.tensors.map(\.name))
        for tensor in checkpoint.tensors {
            let values = AlignedBuffer<Float>(uninitializedCount: tensor.elementCount)
            try values.withBytes { bytes in
                try checkpoint.read(tensor.name, as: .f32, into: bytes)
                try writer.append(
                    tensor.name, type: .f32, shape: tensor.shape, bytes: UnsafeRawBufferPointer(bytes))
            }
            checkpoint.release(tensor.name)
        }
        try writer.finish()
        if case .gguf(let tokenizer) = try checkpoint.tokenizerSource() {
            let tokens: JSON = [
                "tokens": .array(tokenizer.tokens.map(JSON.string)),
                "merges": .array(tokenizer.merges.map(JSON.string)),
                "types": .array(tokenizer.tokenTypes.map(JSON.integer)),
                "template": .string(tokenizer.chatTemplate ?? ""),
            ]
            try folder.write(tokens.text(), to: "gguf-tokenizer.json")
        }
        try folder.finish()
        #expect(try Checkpoint.open(path: output).tensors.map(\.name) == checkpoint.tensors.map(\.name))
    }
}

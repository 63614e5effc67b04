public import Checkpoints
import Foundation
import OrderedJSON

/// A tiny model of a family with what transformers computes with it, from scripts/make-family-vectors.
public struct FamilyFixture: Sendable, CustomStringConvertible {
    public struct Prompt: Sendable {
        public let ids: [Int32]
        /// The token whose logits are the first of ``logits``.
        public let first: Int
        public let logits: [[Double]]
        public let greedy: [Int32]
    }

    public let name: String
    public let path: String

    public static let all = [
        "llama-biases", "llama-yarn", "qwen2", "qwen2-window", "qwen3", "qwen3-yarn", "mistral", "mistral-full",
        "smollm3", "phi3", "phi3-longrope", "gemma2", "gemma3", "gemma3-vision", "opt", "opt-post-norm",
        "opt-no-biases", "gpt2", "gpt2-relu",
    ].map(FamilyFixture.init)

    /// Those that the `gguf` package has written as GGUF files, too, by scripts/make-gguf-family-vectors.
    public static let gguf = [
        "llama-biases", "llama-yarn", "mistral-full", "qwen2", "qwen3", "phi3", "phi3-longrope", "gpt2", "gemma2-plain",
        "gemma3-plain", "smollm3-plain",
    ].map(FamilyFixture.init)

    private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "TransformerTests/Fixtures")

    public init(_ name: String) {
        self.name = name
        path = Self.fixtures.appending(path: "families/\(name)").path
    }

    /// The same model as a GGUF file, where there is one.
    public var ggufPath: String { Self.fixtures.appending(path: "gguf/\(name).gguf").path }

    public var description: String { name }

    public var checkpoint: Checkpoint { get throws { try Checkpoint.open(path: path) } }

    public var prompts: [Prompt] {
        get throws {
            let bytes = [UInt8](try Data(contentsOf: URL(filePath: path + "/reference.json")))
            return try JSON(parsing: bytes)["prompts"]!.arrayValue!.map { prompt in
                func ids(_ key: String) -> [Int32] { prompt[key]!.arrayValue!.map { Int32($0.intValue!) } }
                return Prompt(
                    ids: ids("ids"), first: prompt["first"]!.intValue!,
                    logits: prompt["logits"]!.arrayValue!.map { $0.arrayValue!.map { $0.doubleValue! } },
                    greedy: ids("greedy"))
            }
        }
    }
}

public import OrderedJSON
import Tokenizers

/// The sizes of a model that people know, under the name that they know it by.
public struct SyntheticShape: Sendable {
    /// What `--parameters` takes: the number of parameters as model names give it.
    public let name: String
    /// The model whose sizes these are.
    public let origin: String
    public let hiddenSize: Int
    public let intermediateSize: Int
    public let layerCount: Int
    public let headCount: Int
    public let keyValueHeadCount: Int
    public let vocabularySize: Int
    public let tiesHead: Bool
    public let rotaryBase: Double

    /// The same for all, longer than most origins': speed does not depend on it, and long contexts are to be measured.
    public static let context = 16384

    /// From the smallest to the largest. Each row's sizes are those of its origin's `config.json`.
    public static let all: [SyntheticShape] = [
        // No model has this shape: it is for trying things out, and for tests.
        .init("tiny", "none, for trying things out", 64, 172, 2, 4, 2, 512, ties: true, 1e4),
        .init("135m", "SmolLM2-135M", 576, 1536, 30, 9, 3, 49152, ties: true, 1e5),
        .init("360m", "SmolLM2-360M", 960, 2560, 32, 15, 5, 49152, ties: true, 1e5),
        .init("1.1b", "TinyLlama-1.1B", 2048, 5632, 22, 32, 4, 32000, ties: false, 1e4),
        .init("1.7b", "SmolLM2-1.7B", 2048, 8192, 24, 32, 32, 49152, ties: true, 1.3e5),
        .init("3b", "Llama-3.2-3B", 3072, 8192, 28, 24, 8, 128_256, ties: true, 5e5),
        .init("7b", "Llama-2-7B", 4096, 11008, 32, 32, 32, 32000, ties: false, 1e4),
        .init("8b", "Llama-3-8B", 4096, 14336, 32, 32, 8, 128_256, ties: false, 5e5),
        .init("13b", "Llama-2-13B", 5120, 13824, 40, 40, 40, 32000, ties: false, 1e4),
    ]

    private init(
        _ name: String, _ origin: String, _ hidden: Int, _ intermediate: Int, _ layers: Int, _ heads: Int,
        _ keyValueHeads: Int, _ vocabulary: Int, ties: Bool, _ rotaryBase: Double
    ) {
        self.name = name
        self.origin = origin
        hiddenSize = hidden
        intermediateSize = intermediate
        layerCount = layers
        headCount = heads
        keyValueHeadCount = keyValueHeads
        vocabularySize = vocabulary
        tiesHead = ties
        self.rotaryBase = rotaryBase
    }

    /// `config.json`
    public var configuration: JSON {
        [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": .integer(hiddenSize), "intermediate_size": .integer(intermediateSize),
            "num_hidden_layers": .integer(layerCount), "num_attention_heads": .integer(headCount),
            "num_key_value_heads": .integer(keyValueHeadCount), "head_dim": .integer(hiddenSize / headCount),
            "vocab_size": .integer(vocabularySize), "max_position_embeddings": .integer(Self.context),
            "rms_norm_eps": 1e-5, "rope_theta": .number(rotaryBase), "tie_word_embeddings": .bool(tiesHead),
            "attention_bias": false, "mlp_bias": false,
            "bos_token_id": .integer(vocabularySize - 1), "eos_token_id": .integer(vocabularySize - 1),
        ]
    }
}

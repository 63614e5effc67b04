import Checkpoints
import Engine
import Tokenizers
import Transformer

/// A model's files, opened and found to fit its configuration. No weights are read.
struct ModelFiles {
    let checkpoint: Checkpoint
    let configuration: ModelConfiguration
    let layout: DecoderLayout
    /// nil if the model is not packed.
    let packed: PackedWeights?

    /// - Throws: `CheckpointError` or `ModelError` naming the file, and the tensor that is missing or misshapen.
    init(path: String) throws {
        checkpoint = try Checkpoint.open(path: path)
        do throws(ModelError) {
            configuration = try ModelConfiguration(checkpoint.configuration)
        } catch {
            throw ModelError("\(checkpoint.path): \(error.subject)", expected: error.expected, found: error.found)
        }
        packed = try PackedWeights(checkpoint)
        layout = DecoderLayout(configuration)
        try layout.check(checkpoint, packed: packed)
    }

    /// Whether there is a tokenizer to read: weights may come without one.
    var hasTokenizer: Bool {
        get throws {
            if case .folder(let files) = try checkpoint.tokenizerSource() { files.areComplete } else { true }
        }
    }

    /// - Throws: an error naming the file if there is no tokenizer, it cannot be read, or it has more tokens than the
    ///   model.
    func tokenizer() throws -> TokenizerBundle {
        let bundle: TokenizerBundle
        do { bundle = try TokenizerBundle(checkpoint) } catch let error as TokenizerError {
            throw CommandFailure("\(checkpoint.path): the tokenizer: \(error)")
        }
        guard bundle.definition.tokenCount <= configuration.vocabularySize else {
            throw ModelError(
                "\(checkpoint.path): the tokenizer's vocabulary",
                expected: "at most the model's \(configuration.vocabularySize) tokens",
                found: "\(bundle.definition.tokenCount)")
        }
        return bundle
    }
}

public import Checkpoints
import OrderedJSON
public import Tensors
public import Tokenizers
public import Transformer

/// A model that can be run: configuration, weights, tokenizer and chat template of one checkpoint.
public struct LanguageModel: Sendable {
    public let checkpoint: Checkpoint
    public let configuration: ModelConfiguration
    public let weights: DecoderWeights
    public let tokenizer: Tokenizer
    /// nil for models that were not trained to chat.
    public let chatTemplate: ChatTemplate?
    /// Tokens that end an answer.
    public let endTokens: Set<Int32>

    /// Opens what is at `path`: a GGUF file, a Hugging Face folder, a packed folder.
    /// - Parameters:
    ///   - type: what weights are decoded to that the kernels cannot read as they are.
    ///   - packing: what becomes of dense matrices; nil leaves them as they are.
    ///   - progress: called with the number of layers done and in all.
    /// - Throws: `CheckpointError`, `ModelError`, `TokenizerError` or `ChatTemplateError`.
    public static func open(
        path: String, type: WeightType = .f16, packing: LoadPacking? = nil, pool: WorkerPool,
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> LanguageModel {
        let checkpoint = try Checkpoint.open(path: path)
        let configuration = try ModelConfiguration(checkpoint.configuration)
        let files = try TokenizerBundle(checkpoint)
        let tokenizer = Tokenizer(files.definition)
        guard files.definition.tokenCount <= configuration.vocabularySize else {
            throw ModelError(
                "the tokenizer's vocabulary", expected: "at most the model's \(configuration.vocabularySize) tokens",
                found: "\(files.definition.tokenCount)")
        }
        let ends = configuration.endIDs + files.endIDs + [files.definition.roles.endOfText].compactMap(\.self)
        return LanguageModel(
            checkpoint: checkpoint, configuration: configuration,
            weights: try DecoderWeights(
                checkpoint, configuration: configuration, type: type, packing: packing, pool: pool,
                progress: progress),
            tokenizer: tokenizer,
            chatTemplate: try files.chatTemplate.map { source in try ChatTemplate(source: source) },
            endTokens: Set(ends.compactMap(Int32.init(exactly:))))
    }

    /// The tokens of a text that is to be continued, behind the beginning-of-text token if the model wants one.
    public func tokens(continuing text: String) -> [Int32] {
        tokenizer.encode(text).map(Int32.init)
    }

    /// The tokens of a text as it stands, nothing added.
    public func tokens(of text: String) -> [Int32] {
        tokenizer.encode(text, addingSpecialTokens: false).map(Int32.init)
    }

    /// The tokens of a conversation, through the model's chat template, up to the opening of the next answer.
    /// - Parameter date: what templates that ask for today are told.
    /// - Throws: `EngineError.noChatTemplate`; `ChatTemplateError` if the template refuses the conversation.
    public func tokens(answering messages: [ChatMessage], date: ChatTemplateDate? = nil) throws -> [Int32] {
        guard let chatTemplate else { throw EngineError.noChatTemplate }
        let roles = tokenizer.definition.roles
        let text = try chatTemplate.render(
            messages: messages, addGenerationPrompt: true,
            bosToken: roles.beginningOfText.flatMap(tokenizer.definition.text(of:)),
            eosToken: roles.endOfText.flatMap(tokenizer.definition.text(of:)), date: date)
        // The template writes special tokens, the beginning of the text among them, as text.
        return tokens(of: text)
    }
}

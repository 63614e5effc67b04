public import Checkpoints
import OrderedJSON
public import Tokenizers

/// A checkpoint's tokenizer with what belongs to it, whether it comes from GGUF metadata or from files of a folder.
public struct TokenizerBundle: Sendable {
    public let definition: TokenizerDefinition
    /// The Jinja source.
    public let chatTemplate: String?
    /// Tokens that end an answer besides the tokenizer's own end of text.
    public let endIDs: [Int]
    private let folderFiles: TokenizerFiles?

    /// - Throws: `CheckpointError`, `JSONError` or `TokenizerError`, naming the file.
    public init(_ checkpoint: Checkpoint) throws {
        switch try checkpoint.tokenizerSource() {
        case .gguf(let values):
            definition = try TokenizerDefinition(
                ggufModel: values.model, preTokenizer: values.pre, tokens: values.tokens,
                tokenTypes: values.tokenTypes.isEmpty ? nil : values.tokenTypes, scores: values.scores,
                merges: values.merges,
                roles: TokenRoles(
                    beginningOfText: values.beginningID, endOfText: values.endID, unknown: values.unknownID,
                    padding: values.paddingID),
                addsBeginningOfText: values.addsBeginning, addsEndOfText: values.addsEnd,
                addsSpacePrefix: values.addsSpacePrefix)
            chatTemplate = values.chatTemplate
            endIDs = [values.endOfTurnID].compactMap(\.self)
            folderFiles = nil
        case .folder(let files):
            let configuration = try files.configuration.map { path in try Self.json(path) }
            definition = try Self.definition(files, configuration: configuration, path: checkpoint.path)
            if let template = files.chatTemplate {
                chatTemplate = try Self.text(template)
            } else {
                chatTemplate = configuration.flatMap { HuggingFaceConfiguration.chatTemplate($0) }
            }
            let generation = try files.generationConfiguration.map { path in try Self.json(path) }
            let ends = generation?["eos_token_id"]
            endIDs = ends?.arrayValue?.compactMap(\.intValue) ?? [ends?.intValue].compactMap(\.self)
            folderFiles = files
        }
    }

    /// - Parameter path: of the folder.
    private static func definition(
        _ files: TokenizerFiles, configuration: JSON?, path: String
    ) throws -> TokenizerDefinition {
        if let tokenizer = files.tokenizer {
            return try TokenizerDefinition(
                huggingFaceTokenizer: try json(tokenizer, listing: "vocab"), configuration: configuration)
        }
        if let definition = try sentencePiece(files, configuration: configuration) { return definition }
        guard let vocabulary = files.vocabulary, let merges = files.merges else {
            throw CheckpointError(
                .missing, path: path, subject: "the tokenizer",
                expected: "a tokenizer.json, a tokenizer.model, or a vocab.json with a merges.txt", found: "none")
        }
        return try TokenizerDefinition(
            vocabulary: try json(vocabulary), merges: try text(merges), configuration: configuration,
            specialTokens: try files.specialTokens.map { path in try json(path) },
            addedTokens: try files.addedTokens.map { path in try json(path) })
    }

    private static func sentencePiece(
        _ files: TokenizerFiles, configuration: JSON?
    ) throws -> TokenizerDefinition? {
        guard let model = files.sentencePiece else { return nil }
        let bytes = try Checkpoint.fileBytes(model)
        return try TokenizerDefinition(
            sentencePieceModel: withExtendedLifetime(bytes) { Array($0.buffer) }, configuration: configuration,
            addedTokens: try files.addedTokens.map { path in try json(path) })
    }

    /// The tokenizer.model beside a tokenizer.json, as Llama's and Gemma's folders have it, if it has the same tokens.
    func sentencePieceTwin() throws -> TokenizerDefinition? {
        guard let files = folderFiles, files.tokenizer != nil else { return nil }
        let configuration = try files.configuration.map { path in try Self.json(path) }
        let twin = try Self.sentencePiece(files, configuration: configuration)
        return twin.flatMap { $0.hasTokens(of: definition) ? $0 : nil }
    }

    /// Puts the tokenizer's files into a folder: copies of a folder's own, or files made from a GGUF's metadata.
    /// - Throws: `CheckpointError` if the system refuses, `TokenizerError` if a GGUF's tokenizer has no form as files.
    public func write(to folder: FolderWriter) throws {
        if let folderFiles { return try folder.copy(folderFiles) }
        let files = try HuggingFaceTokenizerFiles(definition, chatTemplate: chatTemplate)
        if let model = files.sentencePieceModel {
            try folder.write(model, to: "tokenizer.model")
        } else {
            try folder.write(files.tokenizer.text() + "\n", to: "tokenizer.json")
        }
        try folder.write(files.configuration.text(pretty: true) + "\n", to: "tokenizer_config.json")
    }

    /// - Parameter listing: see `JSON.init(parsing:listing:)`.
    private static func json(_ path: String, listing listedKey: String? = nil) throws -> JSON {
        let bytes = try Checkpoint.fileBytes(path)
        do throws(JSONError) {
            return try withExtendedLifetime(bytes) { () throws(JSONError) in
                try JSON(parsing: UnsafeRawBufferPointer(bytes.buffer), listing: listedKey)
            }
        } catch {
            throw CheckpointError(
                .damaged, path: path, subject: "the file", expected: "JSON", found: error.description)
        }
    }

    private static func text(_ path: String) throws -> String {
        let bytes = try Checkpoint.fileBytes(path)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CheckpointError(
                .damaged, path: path, subject: "the file", expected: "UTF-8 text", found: "other bytes")
        }
        return text
    }
}

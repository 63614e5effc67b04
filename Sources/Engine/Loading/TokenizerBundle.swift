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
                tokenTypes: values.tokenTypes.isEmpty ? nil : values.tokenTypes, merges: values.merges,
                roles: TokenRoles(
                    beginningOfText: values.beginningID, endOfText: values.endID, unknown: values.unknownID,
                    padding: values.paddingID),
                addsBeginningOfText: values.addsBeginning, addsEndOfText: values.addsEnd)
            chatTemplate = values.chatTemplate
            endIDs = [values.endOfTurnID].compactMap(\.self)
            folderFiles = nil
        case .folder(let files):
            guard let path = files.tokenizer else {
                throw CheckpointError(
                    .missing, path: checkpoint.path, subject: "the tokenizer", expected: "a tokenizer.json",
                    found: "none")
            }
            let configuration = try files.configuration.map { path in try Self.json(path) }
            definition = try TokenizerDefinition(
                huggingFaceTokenizer: try Self.json(path), configuration: configuration)
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

    /// Puts the tokenizer's files into a folder: copies of a folder's own, or files made from a GGUF's metadata.
    public func write(to folder: FolderWriter) throws(CheckpointError) {
        if let folderFiles { return try folder.copy(folderFiles) }
        let files = HuggingFaceTokenizerFiles(definition, chatTemplate: chatTemplate)
        try folder.write(files.tokenizer.text() + "\n", to: "tokenizer.json")
        try folder.write(files.configuration.text(pretty: true) + "\n", to: "tokenizer_config.json")
    }

    private static func json(_ path: String) throws -> JSON {
        let bytes = try Checkpoint.fileBytes(path)
        do throws(JSONError) {
            return try withExtendedLifetime(bytes) { () throws(JSONError) in
                try JSON(parsing: UnsafeRawBufferPointer(bytes.buffer))
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

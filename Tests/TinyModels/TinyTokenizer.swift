import Checkpoints
import Tokenizers

/// A byte-level tokenizer without merges: ids 0...255 are bytes, one more ends a text.
public enum TinyTokenizer {
    public static let endID = 256

    /// GPT-2's alphabet: printable Latin-1 characters stand for themselves, the other bytes for U+0100 and up in order.
    private static let alphabet: [String] = {
        let printable: [ClosedRange<UInt32>] = [0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF]
        var next: UInt32 = 0x100
        return (0...255).map { (byte: UInt32) in
            if printable.contains(where: { $0.contains(byte) }) { return String(Unicode.Scalar(byte)!) }
            defer { next += 1 }
            return String(Unicode.Scalar(next)!)
        }
    }()

    static func write(to folder: FolderWriter) throws {
        let definition = try TokenizerDefinition(
            tokens: alphabet, merges: [],
            addedTokens: [AddedToken(id: endID, content: "<|end|>", isSpecial: true)],
            roles: TokenRoles(endOfText: endID), options: TokenizerOptions(preTokenizer: .gpt2))
        let files = HuggingFaceTokenizerFiles(definition, chatTemplate: nil)
        try folder.write(files.tokenizer.text() + "\n", to: "tokenizer.json")
        try folder.write(files.configuration.text(pretty: true) + "\n", to: "tokenizer_config.json")
    }
}

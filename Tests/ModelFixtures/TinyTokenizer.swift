public import Tokenizers

/// The tokenizer of a ``TinyModel``: a token for every byte, a few words, and three special tokens.
public enum TinyTokenizer {
    public static let specialTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    /// Token ids end below; the model's table has a few rows more, as real ones have.
    public static let vocabularySize = 320
    public static let beginningID = definition.tokenCount - 3
    public static let endID = definition.tokenCount - 1

    /// ChatML, as small instruct models use it.
    public static let chatTemplate = """
        {% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + \
        '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
        """

    public static let definition: TokenizerDefinition = {
        var tokens = (0...255).map { String(character(of: UInt8($0))) }
        var merges: [String] = []
        for word in [" the", " and", " of", "ing", "er", " in", " a", "123"] {
            let characters = word.utf8.map { String(character(of: $0)) }
            for end in 1..<characters.count {
                let left = characters[..<end].joined()
                guard !tokens.contains(left + characters[end]) else { continue }
                tokens.append(left + characters[end])
                merges.append(left + " " + characters[end])
            }
        }
        let first = tokens.count
        return try! TokenizerDefinition(
            tokens: tokens, merges: merges,
            addedTokens: specialTokens.enumerated().map { AddedToken(id: first + $0.offset, content: $0.element) },
            roles: TokenRoles(beginningOfText: first, endOfText: first + 2),
            options: TokenizerOptions(preTokenizer: .smolLM))
    }()

    public static func files(chatTemplate: String?) -> HuggingFaceTokenizerFiles {
        try! HuggingFaceTokenizerFiles(definition, chatTemplate: chatTemplate)
    }

    /// GPT-2's way to write bytes as text: printable ones of Latin-1 as themselves, the rest from U+0100 on.
    private static func character(of byte: UInt8) -> Character {
        func isPrintable(_ byte: UInt8) -> Bool {
            (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
        }
        if isPrintable(byte) { return Character(Unicode.Scalar(byte)) }
        let rank = (0..<byte).count { !isPrintable($0) }
        return Character(Unicode.Scalar(UInt32(0x100 + rank))!)
    }
}

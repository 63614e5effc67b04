import Foundation
import OrderedJSON
import TestSupport

@testable import Tokenizers

/// The small vocabulary and the vectors that `scripts/make-tokenizer-vectors` made.
enum TokenizerFixture {
    /// A text with the ids and the decoded text that the `tokenizers` package gives.
    struct Vector {
        let text: String
        let parsesSpecialTokens: Bool
        let ids: [Int]
        /// nil where the package does not give the text back that it encoded.
        let decoded: String?
        let skipsSpecialTokens: Bool
    }

    static let names = [
        "gpt2", "smolLM", "llama3", "qwen2", "gpt2 with a prefix space", "qwen2 with odd added tokens",
    ]

    private static let file: JSON = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        return try! JSON(parsing: Array(Data(contentsOf: folder.appending(path: "Fixtures/vectors.json"))))
    }()

    static let tokens: [String] = file["tokens"]!.arrayValue!.map { $0.stringValue! }
    static let merges: [String] = file["merges"]!.arrayValue!.map { $0.stringValue! }

    private static func variant(_ name: String) -> JSON {
        file["variants"]!.arrayValue!.first { $0["name"]?.stringValue == name }!
    }

    /// The whole tokenizer.json of a variant.
    static func tokenizerJSON(_ name: String) -> JSON {
        var members = variant(name)["file"]!.objectValue!
        var model = members["model"]!.objectValue!
        model["vocab"] = .object(.init(uniqueKeysWithValues: tokens.enumerated().map { ($1, .integer($0)) }))
        model["merges"] = file["merges"]!
        members["model"] = .object(model)
        return .object(members)
    }

    static func tokenizer(_ name: String) throws -> Tokenizer {
        Tokenizer(try TokenizerDefinition(huggingFaceTokenizer: tokenizerJSON(name)))
    }

    static func vectors(_ name: String) -> [Vector] {
        variant(name)["vectors"]!.arrayValue!.enumerated().map { index, row in
            let row = row.arrayValue!
            return Vector(
                text: row[0].stringValue!, parsesSpecialTokens: row[1].boolValue!,
                ids: row[2].arrayValue!.map { $0.intValue! }, decoded: row[3].stringValue,
                skipsSpecialTokens: index % 2 == 0)
        }
    }

    /// Byte-level tokens for all 256 bytes, in byte order, and the merges "a b", "ab c" and so on of `words`.
    static func definition(
        words: [String] = [], added: [AddedToken] = [], roles: TokenRoles = TokenRoles(),
        options: TokenizerOptions = TokenizerOptions(preTokenizer: .gpt2)
    ) throws -> TokenizerDefinition {
        var tokens = (0...255).map { ByteAlphabet.text(of: [UInt8($0)]) }
        var merges: [String] = []
        for word in words {
            let characters = Array(ByteAlphabet.text(of: word.utf8).unicodeScalars).map { String($0) }
            for end in 1..<characters.count {
                let left = characters[..<end].joined()
                guard !tokens.contains(left + characters[end]) else { continue }
                tokens.append(left + characters[end])
                merges.append(left + " " + characters[end])
            }
        }
        return try TokenizerDefinition(
            tokens: tokens, merges: merges, addedTokens: added, roles: roles, options: options)
    }
}

extension String {
    /// A random text of characters from all over Unicode, assigned or not, with long runs of white space among them.
    static func random(count: Int, using generator: inout SplitMix64) -> String {
        let ranges: [ClosedRange<UInt32>] = [
            0x00...0x7F, 0x20...0x7E, 0x80...0x7FF, 0x300...0x36F, 0x800...0xD7FF, 0x2000...0x206F, 0xE000...0xFFFF,
            0x1F1E6...0x1FAFF, 0x10000...0x10FFFF,
        ]
        var text = String.UnicodeScalarView()
        while text.count < count {
            if Int.random(in: 0..<12, using: &generator) == 0 {
                let space: Unicode.Scalar = [" ", "\n", "\t", "\u{A0}"].randomElement(using: &generator)!
                text.append(contentsOf: repeatElement(space, count: .random(in: 1...40, using: &generator)))
            } else {
                text.append(Unicode.Scalar(.random(in: ranges.randomElement(using: &generator)!, using: &generator))!)
            }
        }
        return String(text)
    }
}

/// Whether two texts have the same characters; `==` would also take composed and decomposed accents for the same.
func isIdentical(_ first: String, _ second: String) -> Bool { first.utf8.elementsEqual(second.utf8) }

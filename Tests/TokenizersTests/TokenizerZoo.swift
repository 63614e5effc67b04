import Foundation
import OrderedJSON
import Testing

@testable import Tokenizers

/// The tokenizers of every kind that `scripts/make-tokenizer-vectors` trained, with what the `tokenizers` and
/// `sentencepiece` packages make of the same texts.
enum TokenizerZoo {
    struct Entry: Sendable, CustomTestStringConvertible {
        let name: String
        /// The contents of a tokenizer.json; nil for SentencePiece models.
        let file: JSON?
        /// The bytes of a tokenizer.model.
        let model: [UInt8]?
        /// Of every other text from the first on, a few.
        let ids: [[Int]]
        let idPrints: [UInt32]
        let textPrints: [UInt32]
        /// Of a few SentencePiece models: how often the texts for them come in a long one, and its ids' print.
        let long: (count: Int, print: UInt32)?

        var testDescription: String { name }

        func definition() throws -> TokenizerDefinition {
            if let model { return try TokenizerDefinition(sentencePieceModel: model) }
            return try TokenizerDefinition(huggingFaceTokenizer: file!)
        }
    }

    private static let contents: JSON = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        let bytes = try! Data(contentsOf: folder.appending(path: "Fixtures/zoo.json"))
        return try! JSON(parsing: Array(bytes), listing: "vocab")
    }()

    static let texts: [String] = contents["texts"]!.arrayValue!.map { $0.stringValue! }

    /// The texts for models that no training makes.
    static let lettersTexts = texts.suffix(40).joined()

    static let entries: [Entry] = contents["entries"]!.arrayValue!.map { entry in
        var file = entry["file"]
        if case .object(var members)? = file, case .object(var model) = members["model"]! {
            let vocabulary = contents["vocabularies"]!.arrayValue![entry["vocabulary"]!.intValue!]
            for (key, value) in vocabulary.objectValue! { model[key] = value }
            members["model"] = .object(model)
            file = .object(members)
        }
        return Entry(
            name: entry["name"]!.stringValue!, file: file,
            model: entry["model"]?.stringValue.map { Array(Data(base64Encoded: $0)!) },
            ids: entry["ids"]!.arrayValue!.map { $0.arrayValue!.map { $0.intValue! } },
            idPrints: prints(entry["idPrints"]!.stringValue!), textPrints: prints(entry["textPrints"]!.stringValue!),
            long: entry["long"]?.arrayValue.map { ($0[0].intValue!, prints($0[1].stringValue!)[0]) })
    }

    static func entry(_ name: String) -> Entry { entries.first { $0.name == name }! }

    private static func prints(_ text: String) -> [UInt32] {
        let digits = Array(text.utf8)
        return stride(from: 0, to: digits.count, by: 8).map { start in
            UInt32(String(decoding: digits[start..<start + 8], as: UTF8.self), radix: 16)!
        }
    }

    /// FNV-1a, 32 bits.
    static func print(_ bytes: some Sequence<UInt8>) -> UInt32 {
        bytes.reduce(0x811C_9DC5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }

    static func print(_ ids: [Int]) -> UInt32 {
        print(ids.flatMap { id in (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) } })
    }
}

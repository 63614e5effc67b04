import OrderedJSON
import TestSupport
import Testing

@testable import Tokenizers

@Suite struct SentencePieceTests {
    /// A small model of byte pairs.
    private func file(
        _ pieces: [(String, Float, SentencePieceFile.PieceType)] = [], bytes: Bool = false
    ) -> SentencePieceFile {
        var file = SentencePieceFile()
        file.kind = .bytePairs
        file.fallsBackToBytes = bytes
        file.pieces = [
            .init(text: "<unk>", type: .unknown), .init(text: "<s>", type: .control),
            .init(text: "</s>", type: .control),
        ]
        if bytes {
            let digits = Array("0123456789ABCDEF")
            file.pieces += (0..<256).map { .init(text: "<0x\(digits[$0 / 16])\(digits[$0 % 16])>", type: .byte) }
        }
        for (text, score, type) in pieces { file.pieces.append(.init(text: text, score: score, type: type)) }
        return file
    }

    private func tokenizer(_ file: SentencePieceFile, _ configuration: JSON? = nil) throws -> Tokenizer {
        Tokenizer(try TokenizerDefinition(sentencePieceModel: file.bytes, configuration: configuration))
    }

    private func refusal(_ bytes: [UInt8], _ configuration: JSON? = nil) -> String {
        do throws(TokenizerError) {
            _ = try TokenizerDefinition(sentencePieceModel: bytes, configuration: configuration)
            return "nothing was refused"
        } catch { return error.description }
    }

    @Test func writesWhatItReads() throws {
        let original = file([("a", -1.5, .normal), ("é", 0, .userDefined), ("x", -3, .unused)], bytes: true)
        let read = try SentencePieceFile(original.bytes)
        #expect(read.bytes == original.bytes)
        #expect(read.pieces.map(\.text) == original.pieces.map(\.text))
        #expect(read.pieces.map(\.score) == original.pieces.map(\.score))
        #expect(read.kind == .bytePairs && read.fallsBackToBytes)
    }

    @Test func addsTheBeginningAsLlamaDoes() throws {
        let file = file([("▁", -2, .normal), ("a", -3, .normal), ("▁a", -1, .normal)])
        #expect(try tokenizer(file).encode("a a") == [1, 5, 5])
        #expect(try tokenizer(file, ["add_bos_token": false, "add_eos_token": true]).encode("a") == [5, 2])
        #expect(try tokenizer(file).encode("</s>a", addingSpecialTokens: false) == [2, 5])
        #expect(try tokenizer(file, ["legacy": false]).encode("a</s>a", addingSpecialTokens: false) == [5, 2, 4])
        // As text, "<s>" is unknown characters, which become one token behind the space in front.
        #expect(try tokenizer(file).encode("<s>", parsingSpecialTokens: false) == [1, 3, 0])
    }

    @Test func takesTokensFromTheConfiguration() throws {
        let file = file([("a", -3, .normal)])
        let configuration: JSON = [
            "tokenizer_class": "LlamaTokenizer", "eos_token": "<|end|>",
            "added_tokens_decoder": ["4": ["content": "<|end|>", "special": true, "rstrip": true]],
        ]
        let tokenizer = try tokenizer(file, configuration)
        #expect(tokenizer.definition.roles.endOfText == 4)
        #expect(tokenizer.encode("a<|end|>  a", addingSpecialTokens: false).suffix(3).first == 4)
        #expect(refusal(file.bytes, ["tokenizer_class": "T5Tokenizer"]).contains(#""T5Tokenizer" has ids of its own"#))
    }

    @Test func decodesBytesAndSpaces() throws {
        let tokenizer = try tokenizer(file([("▁a", -1, .normal), ("▁", -2, .normal)], bytes: true))
        func ids(_ bytes: [UInt8]) -> [Int] { bytes.map { Int($0) + 3 } }
        #expect(tokenizer.decode([259, 259]) == "a a")
        #expect(tokenizer.decode([1, 259], skippingSpecialTokens: true) == "a")
        #expect(tokenizer.decode([0, 259]) == " \u{2047}  a")
        #expect(tokenizer.decode(ids(Array("é".utf8)) + [259]) == "é a")
        #expect(tokenizer.decode(ids([0xE2, 0x82, 0x41, 0xF0])) == "\u{FFFD}\u{FFFD}A\u{FFFD}")
        var stream = StreamingDetokenizer(tokenizer: tokenizer)
        #expect(ids(Array("€a".utf8)).map { stream.append($0) } == ["", "", "€", "a"])
    }

    @Test func refusesDamage() {
        #expect(refusal([]) == "tokenizer.model has no pieces")
        #expect(refusal([0x0A]).contains("goes on behind its end"))
        #expect(refusal([0x0A, 0x05, 0x0A]).contains("a field of 5 bytes where 1 are left"))
        #expect(refusal([0x0B]).contains("the unknown wire type 3"))
        #expect(refusal([0x02]).contains("a field with the number 0"))
        #expect(refusal([UInt8](repeating: 0xFF, count: 12)).contains("a number of more than ten bytes"))
        #expect(refusal([0x0A, 0x03, 0x0A, 0x01, 0xFF]).contains("the text of piece 0 is not UTF-8"))
        #expect(refusal([0x0A, 0x02, 0x18, 0x09]).contains("piece 0 has the type 9, expected 1 to 6"))
        #expect(refusal([0x12, 0x02, 0x18, 0x03]).contains("model_type is 3, expected 1 (unigram) or 2 (BPE)"))
        var none = file([("a", 0, .normal)])
        none.pieces[0].type = .normal
        #expect(refusal(none.bytes).contains("0 unknown pieces, expected 1"))
        var twice = file([("a", 0, .normal), ("a", 1, .normal)])
        #expect(refusal(twice.bytes).contains("two ids"))
        twice.fallsBackToBytes = true
        twice.pieces.removeLast()
        #expect(refusal(twice.bytes).contains("no piece for the byte 0"))
        var map = file([("a", 0, .normal)])
        map.characterMap = [1, 2, 3]
        #expect(refusal(map.bytes).contains("the character map has 3 bytes"))
        map.characterMap = [8, 0, 0, 0, 0, 0, 0, 0]
        #expect(refusal(map.bytes).contains("a trie of 8 bytes in 8"))
        map.characterMap = [4, 0, 0, 0, 0, 0, 0, 0, 0xFF]
        #expect(refusal(map.bytes).contains("not UTF-8"))
    }

    /// Damaged models are read or refused; those that are read must work.
    @Test(arguments: TokenizerZoo.entries.filter { $0.model != nil })
    func survivesMutations(entry: TokenizerZoo.Entry) {
        let original = entry.model!
        var generator = SplitMix64(seed: 9)
        var readCount = 0
        for round in 0..<60 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                // The character map and the settings are at the end.
                let start = Bool.random(using: &generator) ? 0 : bytes.count * 3 / 4
                let index = Int.random(in: start..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = .random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: index)
                default: bytes.insert(.random(in: 0...255, using: &generator), at: index)
                }
            }
            if round % 10 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator)) }
            guard let definition = try? TokenizerDefinition(sentencePieceModel: bytes) else { continue }
            readCount += 1
            let tokenizer = Tokenizer(definition)
            for text in TokenizerZoo.texts.prefix(12) {
                let decoded = tokenizer.decode(tokenizer.encode(text))
                #expect(decoded.utf8.count < 10_000)
            }
        }
        #expect(readCount > 0)
    }

    /// A character map whose every byte is random must not make text that is not UTF-8.
    @Test func characterMapsKeepTextValid() throws {
        var generator = SplitMix64(seed: 10)
        let replacements = Array("é\0€\0👍\0a".utf8)
        for _ in 0..<100 {
            let count = Int.random(in: 1...300, using: &generator)
            var bytes = (0..<4).map { UInt8(truncatingIfNeeded: (count * 4) >> (8 * $0)) }
            for _ in 0..<count {
                // Small offsets and keys that end, so that something is found.
                bytes += [
                    .random(in: 0x20...0x7F, using: &generator), .random(in: 0...3, using: &generator),
                    .random(in: 0...1, using: &generator), .random(in: 0...1, using: &generator) * 0x80,
                ]
            }
            let map = try CharacterMap(bytes + replacements)
            for text in TokenizerZoo.texts.prefix(30) {
                Array(text.utf8).withUnsafeBufferPointer { buffer in
                    let replaced = map.replacingGraphemes(in: buffer) ?? []
                    #expect(String(validating: replaced, as: UTF8.self) != nil)
                    if let match = map.match(buffer, shortest: false) {
                        #expect(String(validating: map.replacements[match.replacement], as: UTF8.self) != nil)
                    }
                }
            }
        }
    }

    /// The GGUF form of a model tokenizes as its tokenizer.model does, and is written as one that does.
    @Test func readsTheSameFromGGUF() throws {
        let reference = try TokenizerZoo.entry("spm llama").definition()
        guard case .sentencePiece(let model) = reference.model else {
            Issue.record("the entry is no SentencePiece model")
            return
        }
        let definition = try TokenizerDefinition(
            ggufModel: "llama", preTokenizer: "default", tokens: model.file.pieces.map(\.text),
            tokenTypes: model.file.pieces.map(\.type.rawValue), scores: model.file.pieces.map(\.score), merges: [],
            roles: TokenRoles(beginningOfText: 1, endOfText: 2, unknown: 0))
        let files = try HuggingFaceTokenizerFiles(definition, chatTemplate: "x")
        #expect(files.tokenizer.isNull)
        let written = try TokenizerDefinition(
            sentencePieceModel: files.sentencePieceModel!, configuration: files.configuration)
        #expect(written.roles == definition.roles)
        #expect(written.addedTokens == definition.addedTokens)
        for text in TokenizerZoo.texts {
            let ids = Tokenizer(reference).encode(text)
            #expect(Tokenizer(definition).encode(text) == ids)
            #expect(Tokenizer(written).encode(text) == ids)
            #expect(Tokenizer(definition).decode(ids) == Tokenizer(reference).decode(ids))
        }
    }
}

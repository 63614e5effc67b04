import Foundation
import OrderedJSON
import Tokenizers

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Answers `scripts/compare-tokenizers`: one JSON request a line on standard input, one JSON answer a line on standard
/// output. A request that fails is answered by `{"error": ...}`.
///
///     {"tokenizer": {...}, "configuration": {...}}     loads a Hugging Face tokenizer -> {"tokens": count, ...}
///     {"model": "base64", "configuration": {...}}      loads a tokenizer.model        -> {"tokens": count, ...}
///     {"vocab": {...}, "merges": "...", ...}           loads vocab.json, merges.txt   -> {"tokens": count, ...}
///     {"gguf": {...}}                                  loads GGUF metadata            -> {"tokens": count, ...}
///     {"write": "chat template"}                       the loaded one as files        -> {"tokenizer": ..., ...}
///     {"encode": "text", "add": true, "parse": true}   ids of a text                  -> [ids]
///     {"bytes": "base64", "add": true, "parse": true}  ids of bytes, repaired to text -> [ids]
///     {"decode": [ids], "skip": false}                 text, whole and streamed       -> ["text", "text"]
///     {"time": ["text", ...]}                          encodes them once              -> {"bytesPerSecond": ...}
@main struct TokenizerProbe {
    private var tokenizer: Tokenizer?

    static func main() {
        var probe = TokenizerProbe()
        while let line = readLine() {
            do { print(try probe.answer(JSON(parsing: line, listing: "vocab")).text()) } catch {
                print(JSON.object(["error": .string("\(error)")]).text())
            }
            fflush(nil)  // the other side waits for the answer
        }
    }

    private struct Failure: Error, CustomStringConvertible { let description: String }

    private mutating func answer(_ request: JSON) throws -> JSON {
        if let file = request["tokenizer"] {
            let start = ContinuousClock.now
            let definition = try TokenizerDefinition(
                huggingFaceTokenizer: file, configuration: request["configuration"])
            return load(definition, start: start)
        }
        if let model = request["model"]?.stringValue {
            let start = ContinuousClock.now
            guard let bytes = Data(base64Encoded: model) else { throw Failure(description: "no base64") }
            let definition = try TokenizerDefinition(
                sentencePieceModel: Array(bytes), configuration: request["configuration"])
            return load(definition, start: start)
        }
        if let vocabulary = request["vocab"], let merges = request["merges"]?.stringValue {
            let start = ContinuousClock.now
            let definition = try TokenizerDefinition(
                vocabulary: vocabulary, merges: merges, configuration: request["configuration"])
            return load(definition, start: start)
        }
        if let metadata = request["gguf"] {
            let start = ContinuousClock.now
            return load(try TokenizerProbe.definition(metadata), start: start)
        }
        guard let tokenizer else { throw Failure(description: "no tokenizer is loaded yet") }
        if let template = request["write"] {
            let files = try HuggingFaceTokenizerFiles(tokenizer.definition, chatTemplate: template.stringValue)
            let model = files.sentencePieceModel.map { JSON.string(Data($0).base64EncodedString()) }
            return ["tokenizer": files.tokenizer, "model": model ?? .null, "configuration": files.configuration]
        }
        let bytes = request["bytes"]?.stringValue.flatMap { Data(base64Encoded: $0) }
        if let text = request["encode"]?.stringValue ?? bytes.map({ String(decoding: $0, as: UTF8.self) }) {
            let ids = tokenizer.encode(
                text, addingSpecialTokens: request["add"]?.boolValue ?? false,
                parsingSpecialTokens: request["parse"]?.boolValue ?? true)
            return .array(ids.map { .integer($0) })
        }
        if let ids = request["decode"]?.arrayValue?.compactMap(\.intValue) {
            let skip = request["skip"]?.boolValue ?? false
            var stream = StreamingDetokenizer(tokenizer: tokenizer, skippingSpecialTokens: skip)
            let streamed = ids.map { stream.append($0) }.joined() + stream.finish()
            return [.string(tokenizer.decode(ids, skippingSpecialTokens: skip)), .string(streamed)]
        }
        if let texts = request["time"]?.arrayValue?.compactMap(\.stringValue) {
            let byteCount = texts.reduce(0) { $0 + $1.utf8.count }
            let start = ContinuousClock.now
            for text in texts { _ = tokenizer.encode(text) }
            return ["bytesPerSecond": .number(Double(byteCount) / ((.now - start) / .seconds(1)))]
        }
        throw Failure(description: "an unknown request")
    }

    private mutating func load(_ definition: TokenizerDefinition, start: ContinuousClock.Instant) -> JSON {
        tokenizer = Tokenizer(definition)
        return [
            "tokens": .integer(definition.tokenCount), "isWritten": .bool(definition.options != nil),
            "milliseconds": .number((ContinuousClock.now - start) / .milliseconds(1)),
        ]
    }

    private static func definition(_ metadata: JSON) throws -> TokenizerDefinition {
        func strings(_ key: String) -> [String] { metadata[key]?.arrayValue?.compactMap(\.stringValue) ?? [] }
        let roles = TokenRoles(
            beginningOfText: metadata["bos_token_id"]?.intValue, endOfText: metadata["eos_token_id"]?.intValue,
            unknown: metadata["unknown_token_id"]?.intValue, padding: metadata["padding_token_id"]?.intValue)
        return try TokenizerDefinition(
            ggufModel: metadata["model"]?.stringValue ?? "", preTokenizer: metadata["pre"]?.stringValue,
            tokens: strings("tokens"), tokenTypes: metadata["token_type"]?.arrayValue?.compactMap(\.intValue),
            scores: metadata["scores"]?.arrayValue?.compactMap { $0.doubleValue.map(Float.init) },
            merges: strings("merges"), roles: roles, addsBeginningOfText: metadata["add_bos_token"]?.boolValue,
            addsEndOfText: metadata["add_eos_token"]?.boolValue,
            addsSpacePrefix: metadata["add_space_prefix"]?.boolValue)
    }
}

import Engine
import OrderedJSON
import Terminal

/// What is said about a generation when it is done.
struct GenerationReport {
    let generation: Generation
    let weightBytes: Int
    let cacheBytes: Int

    /// One line: speed and memory.
    var line: String {
        let promptRate = Format.rate(generation.promptTokensPerSecond, of: "tokens")
        var parts = ["prompt \(generation.promptTokens.count) tokens, \(promptRate)"]
        let count = generation.tokens.count
        if let rate = generation.decodeTokensPerSecond {
            parts.append("generated \(count) tokens, \(Format.rate(rate, of: "tokens"))")
        } else {
            parts.append("generated \(count) token")
        }
        parts.append(
            "memory \(Format.bytes(ProcessMemory.peakByteCount)) (weights \(Format.bytes(weightBytes)), "
                + "cache \(Format.bytes(cacheBytes)))")
        return parts.joined(separator: "; ")
    }

    var json: JSON {
        var finish: JSON = ["reason": .string(generation.finishReason.openAIName)]
        switch generation.finishReason {
        case .endToken(let token): finish = ["reason": "stop", "end_token": .integer(Int(token))]
        case .stopString(let stop): finish = ["reason": "stop", "stop_string": .string(stop)]
        case .tokenLimit: finish = ["reason": "length", "limit": "max_tokens"]
        case .contextLimit: finish = ["reason": "length", "limit": "context"]
        }
        return [
            "prompt_tokens": .array(generation.promptTokens.map { .integer(Int($0)) }),
            "tokens": .array(generation.tokens.map { .integer(Int($0)) }),
            "text": .string(generation.text),
            "finish_reason": .string(generation.finishReason.openAIName),
            "finish": finish,
            "timings": [
                "prompt_seconds": .number(generation.promptSeconds),
                "prompt_tokens_per_second": .number(generation.promptTokensPerSecond),
                "decode_seconds": .number(generation.decodeSeconds),
                "decode_tokens_per_second": generation.decodeTokensPerSecond.map(JSON.number) ?? .null,
            ],
            "memory": [
                "peak_bytes": .integer(ProcessMemory.peakByteCount),
                "weights_bytes": .integer(weightBytes),
                "cache_bytes": .integer(cacheBytes),
            ],
        ]
    }
}

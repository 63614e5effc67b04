public import Tensors
import Tokenizers
public import Transformer

/// Generates text: schedule, run, sample, stream.
public final class Generator {
    private let model: LanguageModel
    private let runner: SequenceRunner

    /// - Throws: `ModelError` for a model that a GPU cannot run, or if the GPU fails.
    public init(
        _ model: LanguageModel, contextTokens: Int, pool: WorkerPool, options: RunnerOptions = .init()
    ) throws(ModelError) {
        self.model = model
        runner = try SequenceRunner(model, contextTokens: contextTokens, pool: pool, options: options)
    }

    /// Tokens of the longest text, prompt included.
    public var contextTokens: Int { runner.contextTokens }

    /// Bytes of the key-value cache in use.
    public var cacheByteCount: Int { runner.cacheByteCount }

    /// Continues `prompt`.
    /// - Parameters:
    ///   - onProgress: called with the number of prompt tokens that are computed.
    ///   - onText: called with every piece of text as soon as it is certain.
    /// - Throws: `EngineError` for a prompt that is empty or longer than the context; `ModelError` for damaged weights,
    ///   or if the device fails; `LogitsError` if the model computes NaN.
    public func generate(
        prompt: [Int32], options: GenerationOptions, onProgress: (Int) -> Void = { _ in },
        onText: (String) throws -> Void
    ) throws -> Generation {
        guard !prompt.isEmpty else { throw EngineError.emptyPrompt }
        guard prompt.count < contextTokens else {
            throw EngineError.promptTooLong(tokens: prompt.count, limit: contextTokens - 1)
        }
        let clock = ContinuousClock()
        let start = clock.now
        let reused = runner.reusableTokens(of: prompt)
        runner.truncate(to: reused)
        try runner.run(prompt[reused...]) { onProgress($0.upperBound) }
        var sampler = Sampler(parameters: options.sampling, vocabularySize: model.configuration.vocabularySize)
        sampler.observe(prompt: prompt)
        var stream = TextStream(tokenizer: model.tokenizer, stops: options.stops)
        var tokens = [try nextToken(&sampler)]
        let promptEnd = clock.now
        while true {
            let token = tokens[tokens.count - 1]
            let isEnd = !options.ignoresEnd && model.endTokens.contains(token)
            if !isEnd { try stream.append(token, onText) }
            let finish: FinishReason? =
                if isEnd {
                    .endToken(token)
                } else if let stop = stream.match {
                    .stopString(stop)
                } else if tokens.count >= options.maximumTokens {
                    .tokenLimit
                } else if prompt.count + tokens.count >= contextTokens {
                    .contextLimit
                } else {
                    nil
                }
            if let finish {
                try stream.finish(onText)
                let end = clock.now
                return Generation(
                    promptTokens: prompt, tokens: tokens, text: stream.text, finishReason: finish,
                    computedPromptTokens: prompt.count - reused, promptSeconds: (promptEnd - start) / .seconds(1),
                    decodeSeconds: (end - promptEnd) / .seconds(1))
            }
            try runner.run(tokens[(tokens.count - 1)...])
            tokens.append(try nextToken(&sampler))
        }
    }

    /// Of a greedy choice the device may know the result; then no logits are copied.
    private func nextToken(_ sampler: inout Sampler) throws -> Int32 {
        let parameters = sampler.parameters
        if parameters.isGreedy, !parameters.hasPenalties, let token = try runner.greedyToken() { return token }
        return try sampler.sample(logits: runner.lastLogits())
    }
}

/// Tokens in, text out: whole characters, and nothing that may turn out to be part of a stop string.
private struct TextStream {
    private var detokenizer: StreamingDetokenizer
    private var matcher: StopMatcher
    private(set) var text = ""
    /// The stop string that ended the text.
    private(set) var match: String?

    init(tokenizer: Tokenizer, stops: StopStrings) {
        detokenizer = StreamingDetokenizer(tokenizer: tokenizer)
        matcher = StopMatcher(stops)
    }

    mutating func append(_ token: Int32, _ onText: (String) throws -> Void) throws {
        try emit(detokenizer.append(Int(token)), onText)
    }

    mutating func finish(_ onText: (String) throws -> Void) throws {
        if match != nil { return }
        try emit(detokenizer.finish(), onText)
        if match != nil { return }
        try pass(on: matcher.finish(), onText)
    }

    private mutating func emit(_ piece: String, _ onText: (String) throws -> Void) throws {
        let output = matcher.feed(piece)
        match = output.match
        try pass(on: output.text, onText)
    }

    private mutating func pass(on piece: String, _ onText: (String) throws -> Void) throws {
        if piece.isEmpty { return }
        text += piece
        try onText(piece)
    }
}

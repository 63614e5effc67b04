import Engine
import TestSupport
import Testing
import ModelFixtures
import Transformer

@Suite struct GeneratorTests {
    static let prompt = Array("Once upon a time".utf8).map { Int32($0) }

    @Test func followsTheLargestLogits() throws {
        let open = try OpenModel()
        let expected = try open.greedyTokens(after: Self.prompt, count: 40)
        #expect(Set(expected).count > 5, "a text that repeats itself shows little")
        for batch in [512, 7, 1] {
            var options = RunnerOptions()
            options.maximumBatchTokens = batch
            var progress: [Int] = []
            var text = ""
            let result = try open.generator(options: options).generate(
                prompt: Self.prompt, options: GenerationOptions(maximumTokens: 40), onProgress: { progress.append($0) }
            ) { text += $0 }
            #expect(result.tokens == expected, "batches of \(batch)")
            #expect(result.finishReason == .tokenLimit)
            #expect(result.text == open.model.tokenizer.decode(expected.map { Int($0) }))
            #expect(result.text == text)
            #expect(result.computedPromptTokens == Self.prompt.count)
            #expect(progress == Array(stride(from: batch, to: 16, by: batch)) + [16])
        }
    }

    /// Bytes of all kinds: pieces never cut a character, and together they are what decoding all tokens gives.
    @Test(arguments: 1...5) func streamsWholeCharacters(seed: UInt64) throws {
        var model = TinyModel()
        model.seed = seed
        let open = try OpenModel(model)
        let options = GenerationOptions(
            maximumTokens: 60, sampling: try SamplingParameters(temperature: 1, seed: seed), ignoresEnd: true)
        let (result, _) = try open.generate(Self.prompt, options)
        #expect(result.tokens.count == 60)
        let expected = open.model.tokenizer.decode(result.tokens.map { Int($0) }, skippingSpecialTokens: true)
        #expect(Array(result.text.utf8) == Array(expected.utf8))
    }

    @Test func stopsAtStopStrings() throws {
        let open = try OpenModel()
        let (whole, _) = try open.generate(Self.prompt, GenerationOptions(maximumTokens: 40))
        let characters = Array(whole.text)
        for (first, length) in [(0, 1), (3, 2), (10, 5), (38, 2), (0, 40)] {
            let stop = String(characters[first..<first + length])
            let range = whole.text.firstRange(of: stop)!
            let options = GenerationOptions(maximumTokens: 40, stops: try StopStrings(["never this", stop]))
            let (result, pieces) = try open.generate(Self.prompt, options)
            #expect(result.finishReason == .stopString(stop))
            #expect(result.text == String(whole.text[..<range.lowerBound]))
            // One token is one character here: nothing was generated behind the stop string.
            #expect(result.tokens.count == whole.text.distance(from: whole.text.startIndex, to: range.upperBound))
            #expect(pieces.allSatisfy { !$0.isEmpty })
        }
        // The beginning of a stop string that never ends is part of the text.
        let unfinished = String(characters[35...]) + "and more"
        let options = GenerationOptions(maximumTokens: 40, stops: try StopStrings([unfinished]))
        #expect(try open.generate(Self.prompt, options).0.text == whole.text)
    }

    /// A token that ends the text is the last of the tokens and no part of the text.
    @Test func stopsAtEndTokensUnlessTold() throws {
        var model = OpenModel.talkative
        model.likelyTokens = Set(97...104).union([TinyTokenizer.endID])
        let end = Int32(TinyTokenizer.endID)
        // Some seeds end at once, some never.
        var found: (open: OpenModel, greedy: [Int32], place: Int)?
        for seed: UInt64 in 1...50 where found == nil {
            model.seed = seed
            let open = try OpenModel(model)
            let greedy = try open.greedyTokens(after: Self.prompt, count: 40)
            if let place = greedy.firstIndex(of: end), (5..<30).contains(place) { found = (open, greedy, place) }
        }
        let (open, greedy, place) = try #require(found)
        let (stopped, _) = try open.generate(Self.prompt, GenerationOptions(maximumTokens: 40))
        #expect(stopped.finishReason == .endToken(end))
        #expect(stopped.tokens == Array(greedy[...place]))
        #expect(stopped.text == open.model.tokenizer.decode(greedy[..<place].map { Int($0) }))
        let (ignored, _) = try open.generate(Self.prompt, GenerationOptions(maximumTokens: 40, ignoresEnd: true))
        #expect(ignored.finishReason == .tokenLimit)
        #expect(ignored.tokens == greedy)
        #expect(!ignored.text.contains("<|im_end|>"))
    }

    @Test(arguments: [1, 2, 39]) func stopsAfterTheTokensAskedFor(count: Int) throws {
        let open = try OpenModel()
        let (result, _) = try open.generate(Self.prompt, GenerationOptions(maximumTokens: count))
        #expect(result.tokens == (try open.greedyTokens(after: Self.prompt, count: count)))
        #expect(result.finishReason == .tokenLimit)
        #expect((result.decodeTokensPerSecond == nil) == (count == 1))
    }

    /// The last token needs no place in the cache: prompt and answer together have as many as the context.
    @Test(arguments: [17, 18, 32, 33, 40]) func stopsWhereTheContextEnds(contextTokens: Int) throws {
        let open = try OpenModel()
        let generator = try open.generator(contextTokens: contextTokens)
        let count = contextTokens - Self.prompt.count
        let (result, _) = try open.generate(
            Self.prompt, GenerationOptions(maximumTokens: 100), generator: generator)
        #expect(result.finishReason == .contextLimit)
        #expect(result.tokens == (try open.greedyTokens(after: Self.prompt, count: count)))
        let (exact, _) = try open.generate(
            Self.prompt, GenerationOptions(maximumTokens: count), generator: generator)
        #expect(exact.finishReason == .tokenLimit)
    }

    @Test func refusesPromptsThatDoNotFit() throws {
        let open = try OpenModel()
        let generator = try open.generator(contextTokens: 16)
        let options = GenerationOptions(maximumTokens: 1)
        #expect(throws: EngineError.promptTooLong(tokens: 16, limit: 15)) {
            try generator.generate(prompt: Self.prompt, options: options) { _ in }
        }
        #expect(throws: EngineError.emptyPrompt) { try generator.generate(prompt: [], options: options) { _ in } }
        #expect(throws: ModelError("token id", expected: "0..<320", found: "320")) {
            try generator.generate(prompt: [1, 320], options: options) { _ in }
        }
        // And goes on as if nothing had been.
        let prompt = Array(Self.prompt.prefix(15))
        let (result, _) = try open.generate(prompt, GenerationOptions(maximumTokens: 5), generator: generator)
        #expect(result.tokens == (try open.greedyTokens(after: prompt, count: 1)))
        #expect(result.finishReason == .tokenLimit || result.finishReason == .contextLimit)
    }

    @Test func sameSeedSameText() throws {
        let open = try OpenModel()
        func tokens(seed: UInt64, temperature: Double) throws -> [Int32] {
            let sampling = try SamplingParameters(temperature: temperature, seed: seed)
            return try open.generate(Self.prompt, GenerationOptions(maximumTokens: 30, sampling: sampling)).0.tokens
        }
        #expect(try tokens(seed: 1, temperature: 1) == tokens(seed: 1, temperature: 1))
        #expect(try tokens(seed: 1, temperature: 1) != tokens(seed: 2, temperature: 1))
        #expect(try tokens(seed: 1, temperature: 0) == open.greedyTokens(after: Self.prompt, count: 30))
    }
}

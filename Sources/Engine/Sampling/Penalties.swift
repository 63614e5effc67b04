/// Changes the logits of tokens that came before; ``SamplingParameters`` says how.
struct Penalties: Sendable {
    private let repetition: Float
    private let presence: Float
    private let frequency: Float
    /// How often each token was generated, `[vocabulary]`.
    private var generatedCounts: [UInt32]
    /// Whether ``seenTokens`` has a token, `[vocabulary]`.
    private var isSeen: [Bool]
    /// The tokens of prompt and text, each once. Room for the whole vocabulary is reserved, so that recording a token
    /// never allocates; what is not used costs address space only.
    private var seenTokens: [Int32] = []
    /// The logits with penalties, `[vocabulary]`; overwritten for each token.
    private(set) var adjusted: [Float]

    init(parameters: SamplingParameters, vocabularySize: Int) {
        repetition = Float(parameters.repetitionPenalty)
        presence = Float(parameters.presencePenalty)
        frequency = Float(parameters.frequencyPenalty)
        generatedCounts = Array(repeating: 0, count: vocabularySize)
        isSeen = Array(repeating: false, count: vocabularySize)
        adjusted = Array(repeating: 0, count: vocabularySize)
        seenTokens.reserveCapacity(vocabularySize)
    }

    mutating func record(prompt token: Int32) {
        precondition(isSeen.indices.contains(Int(token)), "token \(token) outside 0..<\(isSeen.count)")
        if !isSeen[Int(token)] {
            isSeen[Int(token)] = true
            seenTokens.append(token)
        }
    }

    mutating func record(generated token: Int32) {
        record(prompt: token)
        generatedCounts[Int(token)] += 1
    }

    /// Sets ``adjusted`` to `logits` with penalties. NaN stays NaN.
    mutating func adjust(_ logits: UnsafeBufferPointer<Float>) {
        adjusted.withUnsafeMutableBufferPointer { adjusted in
            _ = adjusted.update(fromContentsOf: logits)
            for token in seenTokens {
                var logit = adjusted[Int(token)]
                logit = logit > 0 ? logit / repetition : logit * repetition
                let count = generatedCounts[Int(token)]
                if count > 0 { logit -= frequency * Float(count) + presence }
                adjusted[Int(token)] = logit
            }
        }
    }
}

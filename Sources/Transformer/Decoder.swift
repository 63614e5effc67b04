/// The decoder of every family: walks the layers on a backend.
public final class Decoder {
    public let configuration: ModelConfiguration
    private let backend: any Backend

    public init(configuration: ModelConfiguration, backend: any Backend) {
        self.configuration = configuration
        self.backend = backend
    }

    public var maximumBatchTokens: Int { backend.maximumBatchTokens }
    public var maximumLogitsTokens: Int { backend.maximumLogitsTokens }
    public var cacheBytesPerBlock: Int { backend.cacheBytesPerBlock }

    /// Runs a batch through all layers; its keys and values are in the cache afterwards.
    /// - Throws: `ModelError` for a token id outside the vocabulary, for a position beyond the context of a model that
    ///   has none there, if weights turn out to be damaged at their first use, or if the device fails.
    public func forward(_ batch: Batch) throws(ModelError) {
        precondition(!batch.tokens.isEmpty && batch.tokens.count <= maximumBatchTokens)
        if let token = batch.tokens.first(where: { $0 < 0 || $0 >= configuration.vocabularySize }) {
            throw ModelError("token id", expected: "0..<\(configuration.vocabularySize)", found: "\(token)")
        }
        if let limit = configuration.positionLimit, let last = batch.positions.max(),
            last >= configuration.maximumContext
        {
            throw ModelError("position", expected: "one of \(configuration.maximumContext) \(limit)", found: "\(last)")
        }
        try backend.run(batch) { () throws(ModelError) in
            try backend.verify(layer: configuration.layerCount)
            try backend.embed(batch)
            for layer in 0..<configuration.layerCount {
                try backend.verify(layer: layer)
                try backend.projectAttention(layer: layer, batch)
                try backend.attend(layer: layer, batch)
                try backend.addAttention(layer: layer, batch)
                try backend.addMLP(layer: layer, batch)
            }
        }
    }

    /// Scores of the next token after each of the given tokens (places in the last batch): `[count, vocabularySize]`,
    /// valid until the next call.
    /// - Throws: `ModelError` if the device fails.
    /// - Precondition: at most ``maximumLogitsTokens`` places, all within the last batch.
    public func logits(ofTokens tokens: [Int]) throws(ModelError) -> UnsafeBufferPointer<Float> {
        precondition(!tokens.isEmpty && tokens.count <= maximumLogitsTokens)
        return try backend.logits(ofTokens: tokens)
    }

    /// The token of the largest logit after a place in the last batch; nil if the logits are to be looked at.
    /// - Throws: `ModelError` if the device fails.
    public func greedyToken(after place: Int) throws(ModelError) -> Int32? { try backend.greedyToken(after: place) }
}

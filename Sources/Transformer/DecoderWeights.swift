public import Sparse
public import Tensors

/// All weights of a decoder, wherever they lie: mapped files or memory.
public struct DecoderWeights: Sendable {
    /// `[hiddenSize]`
    public struct Norm: Sendable {
        public let weight: Storage<Float>
        /// nil for RMS norms.
        public let bias: Storage<Float>?

        public init(weight: Storage<Float>, bias: Storage<Float>? = nil) {
            self.weight = weight
            self.bias = bias
        }

        var byteCount: Int { weight.byteCount + (bias?.byteCount ?? 0) }
    }

    /// What is added to a layer's products, one element for each row; nil where there is nothing.
    public struct Biases: Sendable {
        public var query: Storage<Float>?
        public var key: Storage<Float>?
        public var value: Storage<Float>?
        public var output: Storage<Float>?
        public var gate: Storage<Float>?
        public var up: Storage<Float>?
        public var down: Storage<Float>?

        public init() {}

        var byteCount: Int {
            [query, key, value, output, gate, up, down].reduce(0) { $0 + ($1?.byteCount ?? 0) }
        }
    }

    public struct Layer: Sendable {
        /// Before attention; behind it where norms stand behind.
        public let inputNorm: Norm
        /// `[queryWidth, hiddenSize]`
        public let query: PackedMatrix
        /// `[keyValueWidth, hiddenSize]`
        public let key: PackedMatrix
        /// `[keyValueWidth, hiddenSize]`
        public let value: PackedMatrix
        /// `[hiddenSize, queryWidth]`
        public let output: PackedMatrix
        /// Before the MLP; behind it where norms stand behind.
        public let postAttentionNorm: Norm
        /// `[intermediateSize, hiddenSize]`; nil for an MLP without a gate.
        public let gate: PackedMatrix?
        /// `[intermediateSize, hiddenSize]`
        public let up: PackedMatrix
        /// `[hiddenSize, intermediateSize]`
        public let down: PackedMatrix
        public var biases = Biases()
        /// `[headSize]` each: norms of every head's query and key; nil if there are none.
        public var queryNorm: Storage<Float>?
        public var keyNorm: Storage<Float>?
        /// Of what attention and MLP give, before that is added to the stream; nil if there are none.
        public var attentionOutputNorm: Norm?
        public var mlpOutputNorm: Norm?

        var matrices: [PackedMatrix] { [query, key, value, output, gate, up, down].compactMap(\.self) }
        var vectorBytes: Int {
            inputNorm.byteCount + postAttentionNorm.byteCount + biases.byteCount + (queryNorm?.byteCount ?? 0)
                + (keyNorm?.byteCount ?? 0) + (attentionOutputNorm?.byteCount ?? 0) + (mlpOutputNorm?.byteCount ?? 0)
        }
    }

    /// `[vocabularySize, embeddingSize]`
    ///
    /// Its rows are looked up: dense, quantised or not.
    public let embedding: PackedMatrix
    /// `[maximumContext + offset, hiddenSize]`, dense; nil where positions are not learned.
    var positionTable: PackedMatrix?
    /// `[hiddenSize, embeddingSize]` and `[embeddingSize, hiddenSize]`; nil where the widths are the same.
    var embeddingProjection: PackedMatrix?
    var headProjection: PackedMatrix?
    public let layers: [Layer]
    /// nil where norms stand behind.
    public let finalNorm: Norm?
    /// `[vocabularySize, embeddingSize]`; the embedding table itself where the model ties them.
    public let head: PackedMatrix
    let headIsTied: Bool
    /// GGUF's stretched frequencies, `headSize / 2` elements.
    public let rotaryFactors: [Float]?
    /// Checks that wait for a layer's first use, so that opening a model does not read it whole.
    let pendingChecks: PendingChecks
    /// What became of matrices that were packed when the model was opened.
    public internal(set) var packedAtLoad = PackedAtLoad()

    /// Bytes of everything above, a tied head counted once.
    public var byteCount: Int {
        byteCountPerStep + (headIsTied ? 0 : embedding.storedByteCount) + (positionTable?.storedByteCount ?? 0)
    }

    /// The matrices outside the layers that every step multiplies with.
    var outerMatrices: [PackedMatrix] { [embeddingProjection, headProjection, head].compactMap(\.self) }

    /// Bytes that every decoding step reads: all but the tables of tokens and positions, of which it reads single rows.
    public var byteCountPerStep: Int {
        let outside = outerMatrices.reduce(finalNorm?.byteCount ?? 0) { $0 + $1.storedByteCount }
        return layers.reduce(outside) { sum, layer in
            sum + layer.matrices.reduce(0) { $0 + $1.storedByteCount } + layer.vectorBytes
        }
    }
}

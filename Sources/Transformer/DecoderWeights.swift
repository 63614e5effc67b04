public import Sparse
public import Tensors

/// All weights of a decoder, wherever they lie: mapped files or memory.
public struct DecoderWeights: Sendable {
    public struct Layer: Sendable {
        /// `[hiddenSize]`
        public let inputNorm: Storage<Float>
        /// `[queryWidth, hiddenSize]`
        public let query: PackedMatrix
        /// `[keyValueWidth, hiddenSize]`
        public let key: PackedMatrix
        /// `[keyValueWidth, hiddenSize]`
        public let value: PackedMatrix
        /// `[hiddenSize, queryWidth]`
        public let output: PackedMatrix
        /// `[hiddenSize]`
        public let postAttentionNorm: Storage<Float>
        /// `[intermediateSize, hiddenSize]`
        public let gate: PackedMatrix
        /// `[intermediateSize, hiddenSize]`
        public let up: PackedMatrix
        /// `[hiddenSize, intermediateSize]`
        public let down: PackedMatrix

        var matrices: [PackedMatrix] { [query, key, value, output, gate, up, down] }
    }

    /// `[vocabularySize, hiddenSize]`
    ///
    /// Its rows are looked up: dense, quantised or not.
    public let embedding: PackedMatrix
    public let layers: [Layer]
    /// `[hiddenSize]`
    public let finalNorm: Storage<Float>
    /// `[vocabularySize, hiddenSize]`; the embedding table itself where the model ties them.
    public let head: PackedMatrix
    let headIsTied: Bool
    /// GGUF's stretched frequencies, `headSize / 2` elements.
    public let rotaryFactors: [Float]?
    /// Checks that wait for a layer's first use, so that opening a model does not read it whole.
    let pendingChecks: PendingChecks
    /// What became of matrices that were packed when the model was opened.
    public internal(set) var packedAtLoad = PackedAtLoad()

    /// Bytes of everything above, a tied head counted once.
    public var byteCount: Int { byteCountPerStep + (headIsTied ? 0 : embedding.storedByteCount) }

    /// Bytes that every decoding step reads: all but the embedding table, of which a step reads single rows.
    public var byteCountPerStep: Int {
        layers.reduce(finalNorm.byteCount + head.storedByteCount) { sum, layer in
            sum + layer.matrices.reduce(0) { $0 + $1.storedByteCount } + layer.inputNorm.byteCount
                + layer.postAttentionNorm.byteCount
        }
    }
}

public import Checkpoints
public import LinearAlgebra
import Tensors
public import Transformer

extension Checkpoint {
    /// The embeddings of tokens, `[tokens, hiddenSize]`, into `stream`.
    /// - Throws: `CheckpointError` if they cannot be read, or are not finite.
    /// - Precondition: all tokens are in the vocabulary.
    public func embed(
        _ tokens: [Int32], configuration: ModelConfiguration, into stream: Matrix
    ) throws(CheckpointError) {
        precondition(tokens.count == stream.rows && stream.columns == configuration.hiddenSize)
        for (place, token) in tokens.enumerated() {
            let row = UnsafeMutableBufferPointer(start: stream.slice.row(place), count: stream.columns)
            try read(
                configuration.family.embedding, rows: Int(token)..<Int(token) + 1, as: .f32,
                into: UnsafeMutableRawBufferPointer(row))
        }
    }

    /// What GGUF files divide rotary frequencies by; nil where there is nothing of the kind.
    public func rotaryFactors(_ configuration: ModelConfiguration) throws(CheckpointError) -> [Float]? {
        let name = "rope_freqs.weight"
        guard self[name] != nil else { return nil }
        let matrix = try Matrix(reading: name, rows: 1, columns: configuration.headSize / 2, from: self)
        return withExtendedLifetime(matrix) { Array($0.elements) }
    }
}

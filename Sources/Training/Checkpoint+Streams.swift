public import Checkpoints
public import LinearAlgebra
import Tensors
public import Transformer

extension Checkpoint {
    /// The embeddings of all tokens of some sequences, `[tokens, hiddenSize]`: the residual stream before the first
    /// layer.
    /// - Throws: `CheckpointError` if they cannot be read, or are not finite.
    /// - Precondition: all tokens are in the vocabulary.
    public func embeddings(
        of sequences: [[Int32]], configuration: ModelConfiguration
    ) throws(CheckpointError) -> Matrix {
        let tokens = sequences.joined()
        let stream = Matrix(uninitializedRows: tokens.count, columns: configuration.hiddenSize)
        for (place, token) in tokens.enumerated() {
            let row = UnsafeMutableBufferPointer(start: stream.slice.row(place), count: stream.columns)
            try read(
                configuration.family.embedding, rows: Int(token)..<Int(token) + 1, as: .f32,
                into: UnsafeMutableRawBufferPointer(row))
        }
        return stream
    }

    /// What GGUF files divide rotary frequencies by; nil where there is nothing of the kind.
    public func rotaryFactors(_ configuration: ModelConfiguration) throws(CheckpointError) -> [Float]? {
        let name = "rope_freqs.weight"
        guard self[name] != nil else { return nil }
        let matrix = try Matrix(reading: name, rows: 1, columns: configuration.headSize / 2, from: self)
        return withExtendedLifetime(matrix) { Array($0.elements) }
    }
}

public import Checkpoints
public import LinearAlgebra
import Tensors
public import Transformer

extension Checkpoint {
    /// The embeddings of all tokens of some sequences, `[tokens, hiddenSize]`, and of their positions where these are
    /// learned: the residual stream before the first layer.
    /// - Throws: `CheckpointError` if they cannot be read, or are not finite.
    /// - Parameter arithmetic: in float32.
    /// - Precondition: all tokens are in the vocabulary, and sequences no longer than the model's context.
    public func embeddings(
        of sequences: [[Int32]], configuration: ModelConfiguration, arithmetic: Arithmetic
    ) throws(CheckpointError) -> Matrix {
        let family = configuration.family
        let tokens = Array(sequences.joined())
        func rows(_ name: String, _ places: [Int], columns: Int) throws(CheckpointError) -> Matrix {
            let rows = Matrix(uninitializedRows: places.count, columns: columns)
            for (index, place) in places.enumerated() {
                let row = UnsafeMutableBufferPointer(start: rows.slice.row(index), count: columns)
                try read(name, rows: place..<place + 1, as: .f32, into: UnsafeMutableRawBufferPointer(row))
            }
            return rows
        }
        var stream = try rows(family.embedding, tokens.map { Int($0) }, columns: configuration.embeddingSize)
        if configuration.embeddingScale != 1 {
            for index in stream.elements.indices { stream.elements[index] *= configuration.embeddingScale }
        }
        if configuration.projectsEmbeddings, let name = family.embeddingProjection {
            let projection = try Matrix(
                reading: name, rows: configuration.hiddenSize, columns: configuration.embeddingSize, from: self)
            let projected = Matrix(uninitializedRows: tokens.count, columns: configuration.hiddenSize)
            arithmetic.multiply(stream.slice, transposed: projection.slice, into: projected.slice)
            stream = projected
        }
        if case .learned(let offset) = configuration.positions, let name = family.positionTable {
            let places = sequences.flatMap { $0.indices.map { $0 + offset } }
            let positions = try rows(name, places, columns: configuration.hiddenSize)
            arithmetic.add(positions.slice, to: stream.slice)
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

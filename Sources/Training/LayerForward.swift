import CKernels
public import LinearAlgebra
import Sparse
import Tensors
public import Transformer

/// The steps of one layer in float32 over whole sequences of one length, which lie behind each other: rows of
/// activations are tokens, `[sequences * length, width]`.
///
/// Each step is a function of its own, so that whoever calls them can look at what goes into a matrix, and change the
/// matrix before it is used.
public struct LayerForward: Sendable {
    public let configuration: ModelConfiguration
    /// Tokens of a sequence.
    public let length: Int
    public let arithmetic: Arithmetic
    private let rotation: Rotation

    /// - Parameter rotaryFactors: what frequencies are divided by besides, from GGUF files; nil for none.
    public init(
        _ configuration: ModelConfiguration, length: Int, rotaryFactors: [Float]? = nil, arithmetic: Arithmetic
    ) {
        precondition(length >= 1)
        self.configuration = configuration
        self.length = length
        self.arithmetic = arithmetic
        rotation = Rotation(configuration, length: length, factors: rotaryFactors)
    }

    /// `output = norm(input) * weight`
    public func normalize(_ input: MatrixSlice, by weight: Matrix, into output: MatrixSlice) {
        let table = arithmetic.kernels.table
        arithmetic.forEachRow(of: output) { row in
            table.rms_norm(
                input.row(row), weight.pointer, Int64(input.columns), configuration.normEpsilon, output.row(row))
        }
    }

    /// Rotates queries or keys by their tokens' positions; backwards, their gradients.
    public func rotate(_ heads: MatrixSlice, backwards: Bool = false) {
        let (table, size) = (arithmetic.kernels.table, configuration.headSize)
        let sines = backwards ? rotation.negativeSines : rotation.sines
        arithmetic.forEachRow(of: heads) { row in
            let place = row % length * size / 2
            table.rotate(
                heads.row(row), Int64(heads.columns / size), Int64(size), rotation.cosines.pointer + place,
                sines.pointer + place)
        }
    }

    /// Causal attention of rotated queries and keys. `output` may not be `queries`.
    /// - Complexity: O(tokens * length * queryWidth).
    public func attend(queries: MatrixSlice, keys: MatrixSlice, values: MatrixSlice, into output: MatrixSlice) {
        precondition(queries.rows % length == 0 && keys.rows == queries.rows && values.rows == queries.rows)
        let heads = configuration.keyValueHeadCount
        arithmetic.pool.forEachChunk(queries.rows / length * heads) { task, thread in
            let (sequence, head) = task.quotientAndRemainder(dividingBy: heads)
            let rows = sequence * length..<(sequence + 1) * length
            HeadAttention(self, thread: thread).attend(
                queries: queries.slice(rows: rows), keys: keys.slice(rows: rows), values: values.slice(rows: rows),
                keyValueHead: head, into: output.slice(rows: rows))
        }
    }

    /// From the residual stream to what goes into the output projection. Norm, rotated queries and keys, and values
    /// stay in the first rows of `buffers`.
    public func attend(
        _ stream: MatrixSlice, _ weights: LayerWeights, buffers: LayerBuffers, into output: MatrixSlice
    ) {
        let rows = 0..<stream.rows
        let input = buffers.normalized.slice(rows: rows)
        let (queries, keys) = (buffers.queries.slice(rows: rows), buffers.keys.slice(rows: rows))
        let values = buffers.values.slice(rows: rows)
        normalize(stream, by: weights.inputNorm, into: input)
        arithmetic.multiply(input, transposed: weights.query.slice, into: queries)
        arithmetic.multiply(input, transposed: weights.key.slice, into: keys)
        arithmetic.multiply(input, transposed: weights.value.slice, into: values)
        rotate(queries)
        rotate(keys)
        attend(queries: queries, keys: keys, values: values, into: output)
    }

    /// `gate = silu(gate) * up`
    public func activate(gate: MatrixSlice, up: MatrixSlice) {
        let table = arithmetic.kernels.table
        arithmetic.forEachRow(of: gate) { row in
            table.silu_multiply(gate.row(row), up.row(row), Int64(gate.columns))
        }
    }

    /// `target += input * weight^T`, through `scratch`, which has the shape of `target`.
    public func addProduct(_ input: MatrixSlice, by weight: Matrix, to target: MatrixSlice, scratch: MatrixSlice) {
        arithmetic.multiply(input, transposed: weight.slice, into: scratch)
        arithmetic.add(scratch, to: target)
    }
}

/// Cosines and sines of every position, `[length, headSize / 2]`.
private struct Rotation: Sendable {
    let cosines: Matrix
    let sines: Matrix
    let negativeSines: Matrix

    init(_ configuration: ModelConfiguration, length: Int, factors: [Float]?) {
        let frequencies = configuration.rotary.frequencies(headSize: configuration.headSize, factors: factors)
        cosines = Matrix(uninitializedRows: length, columns: frequencies.count)
        sines = Matrix(uninitializedRows: length, columns: frequencies.count)
        negativeSines = Matrix(uninitializedRows: length, columns: frequencies.count)
        for position in 0..<length {
            for (index, frequency) in frequencies.enumerated() {
                let angle = Double(position) * frequency
                cosines[position, index] = Float(cosine(angle))
                sines[position, index] = Float(sine(angle))
                negativeSines[position, index] = -sines[position, index]
            }
        }
    }
}

/// Attention of all query heads of one key-value head over one sequence, on one thread.
struct HeadAttention {
    let forward: LayerForward
    let thread: Int

    /// Queries whose scores are in cache together.
    static let block = 128

    init(_ forward: LayerForward, thread: Int) {
        self.forward = forward
        self.thread = thread
    }

    func attend(
        queries: MatrixSlice, keys: MatrixSlice, values: MatrixSlice, keyValueHead: Int, into output: MatrixSlice
    ) {
        let configuration = forward.configuration
        let (size, length) = (configuration.headSize, forward.length)
        let group = configuration.headCount / configuration.keyValueHeadCount
        let place = keyValueHead * size..<(keyValueHead + 1) * size
        let headKeys = Matrix(uninitializedRows: length, columns: size)
        let valueColumns = Matrix(uninitializedRows: size, columns: length)
        let (keyRows, valueRows) = (headKeys.slice, valueColumns.slice)
        for token in 0..<length {
            keyRows.row(token).update(from: keys.row(token) + place.lowerBound, count: size)
            let value = values.row(token) + place.lowerBound
            for d in 0..<size { valueRows.row(d)[token] = value[d] }
        }
        let scores = Matrix(uninitializedRows: Self.block, columns: length)
        let scratch = forward.arithmetic.scratch(ofThread: thread)
        for head in keyValueHead * group..<(keyValueHead + 1) * group {
            let columns = head * size..<(head + 1) * size
            for first in stride(from: 0, to: length, by: Self.block) {
                let rows = first..<min(first + Self.block, length)
                let weights = scores.slice(rows: 0..<rows.count)
                forward.arithmetic.multiply(
                    queries.slice(rows: rows, columns: columns), transposed: keyRows, rows: 0..<rows.upperBound,
                    into: weights, scratch: scratch)
                for row in rows { softmax(weights.row(row - first), count: row + 1, length: length) }
                forward.arithmetic.multiply(
                    weights, transposed: valueRows, rows: 0..<size, into: output.slice(rows: rows, columns: columns),
                    scratch: scratch)
            }
        }
    }

    /// What a query times a key is multiplied with.
    var scale: Float { 1 / Float(forward.configuration.headSize).squareRoot() }

    /// Scores of the tokens before and at a query become weights, those behind it zero.
    func softmax(_ scores: UnsafeMutablePointer<Float>, count: Int, length: Int) {
        forward.arithmetic.kernels.table.softmax(scores, Int64(count), scale)
        (scores + count).update(repeating: 0, count: length - count)
    }
}

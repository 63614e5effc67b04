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
    /// The ways in which layers rotate; none where positions are learned.
    private let rotations: [RotationTable]

    /// - Parameter rotaryFactors: what frequencies are divided by besides, from GGUF files; nil for none.
    public init(
        _ configuration: ModelConfiguration, length: Int, rotaryFactors: [Float]? = nil, arithmetic: Arithmetic
    ) {
        precondition(length >= 1)
        self.configuration = configuration
        self.length = length
        self.arithmetic = arithmetic
        rotations = configuration.rotaries.map { rotary in
            RotationTable(
                Rotation(rotary, headSize: configuration.headSize, factors: rotaryFactors), length: length,
                pairs: configuration.headSize / 2)
        }
    }

    /// `output = norm(input)`, with its weight and bias; `output` may be `input`.
    public func normalize(_ input: MatrixSlice, by norm: LayerWeights.Norm, into output: MatrixSlice) {
        let (kernels, epsilon) = (arithmetic.kernels, configuration.normEpsilon)
        arithmetic.forEachRow(of: output) { row in
            kernels.normalize(
                input.row(row), weight: norm.weight.pointer, bias: norm.bias?.pointer, width: input.columns,
                epsilon: epsilon, into: output.row(row))
        }
    }

    /// What goes into a product behind `norm`, in `output` unless norms stand behind: then it is the stream itself.
    public func productInput(_ stream: MatrixSlice, norm: LayerWeights.Norm, in output: MatrixSlice) -> MatrixSlice {
        if !configuration.normsBefore { return stream }
        normalize(stream, by: norm, into: output)
        return output
    }

    /// `output = input * weight^T + bias`
    public func multiply(_ input: MatrixSlice, by weight: Matrix, bias: Matrix?, into output: MatrixSlice) {
        arithmetic.multiply(input, transposed: weight.slice, into: output)
        guard let bias else { return }
        let table = arithmetic.kernels.table
        arithmetic.forEachRow(of: output) { row in
            table.add(output.row(row), bias.pointer, Int64(output.columns))
        }
    }

    /// RMS norm of each head by itself, in place.
    private func normalizeHeads(_ heads: MatrixSlice, by weight: Matrix) {
        let (table, size, epsilon) = (arithmetic.kernels.table, configuration.headSize, configuration.normEpsilon)
        arithmetic.forEachRow(of: heads) { row in
            table.rms_norm_heads(
                heads.row(row), Int64(heads.columns / size), Int64(size), weight.pointer, epsilon)
        }
    }

    /// Rotates queries or keys by their tokens' positions; backwards, their gradients.
    /// - Parameter place: among ``ModelConfiguration/rotaries``.
    public func rotate(_ heads: MatrixSlice, by place: Int = 0, backwards: Bool = false) {
        let (table, size) = (arithmetic.kernels.table, configuration.headSize)
        precondition(place < rotations.count, "a rotation of learned positions")
        let rotation = rotations[place]
        let sines = backwards ? rotation.negativeSines : rotation.sines
        arithmetic.forEachRow(of: heads) { row in
            let place = row % length * size / 2
            table.rotate(
                heads.row(row), Int64(heads.columns / size), Int64(size), rotation.cosines.pointer + place,
                sines.pointer + place)
        }
    }

    /// Causal attention of rotated queries and keys. `output` may not be `queries`.
    /// - Parameter window: how many of the last tokens a query sees; nil for all.
    /// - Complexity: O(tokens * length * queryWidth).
    public func attend(
        queries: MatrixSlice, keys: MatrixSlice, values: MatrixSlice, window: Int? = nil, into output: MatrixSlice
    ) {
        precondition(queries.rows % length == 0 && keys.rows == queries.rows && values.rows == queries.rows)
        let heads = configuration.keyValueHeadCount
        arithmetic.pool.forEachChunk(queries.rows / length * heads) { task, thread in
            let (sequence, head) = task.quotientAndRemainder(dividingBy: heads)
            let rows = sequence * length..<(sequence + 1) * length
            HeadAttention(self, thread: thread).attend(
                queries: queries.slice(rows: rows), keys: keys.slice(rows: rows), values: values.slice(rows: rows),
                keyValueHead: head, window: window, into: output.slice(rows: rows))
        }
    }

    /// From the residual stream to what goes into the output projection. Norm, rotated queries and keys, and values
    /// stay in the first rows of `buffers`.
    public func attend(
        _ stream: MatrixSlice, _ weights: LayerWeights, buffers: LayerBuffers, into output: MatrixSlice
    ) {
        let rows = 0..<stream.rows
        let input = productInput(stream, norm: weights.inputNorm, in: buffers.normalized.slice(rows: rows))
        let (queries, keys) = (buffers.queries.slice(rows: rows), buffers.keys.slice(rows: rows))
        let values = buffers.values.slice(rows: rows)
        multiply(input, by: weights.query, bias: weights.queryBias, into: queries)
        multiply(input, by: weights.key, bias: weights.keyBias, into: keys)
        multiply(input, by: weights.value, bias: weights.valueBias, into: values)
        if let norms = weights.headNorms {
            if let kept = buffers.unnormalized {
                arithmetic.copy(queries, into: kept.queries.slice(rows: rows))
                arithmetic.copy(keys, into: kept.keys.slice(rows: rows))
            }
            normalizeHeads(queries, by: norms.query)
            normalizeHeads(keys, by: norms.key)
        }
        if let rotation = weights.rotation {
            rotate(queries, by: rotation)
            rotate(keys, by: rotation)
        }
        attend(queries: queries, keys: keys, values: values, window: weights.window, into: output)
    }

    /// From the MLP's input to what goes into the down projection, through `scratch` of the same shape if there is a
    /// gate.
    public func activate(
        _ input: MatrixSlice, _ weights: LayerWeights, scratch: MatrixSlice, into output: MatrixSlice
    ) {
        guard let gate = weights.gate else {
            multiply(input, by: weights.up, bias: weights.upBias, into: output)
            return activate(output)
        }
        multiply(input, by: gate, bias: weights.gateBias, into: output)
        multiply(input, by: weights.up, bias: weights.upBias, into: scratch)
        activate(gate: output, up: scratch)
    }

    /// The activation of an MLP without a gate, in place.
    func activate(_ values: MatrixSlice) {
        let (kernels, activation) = (arithmetic.kernels, configuration.activation)
        arithmetic.forEachRow(of: values) { row in
            kernels.activate(values.row(row), count: values.columns, by: activation)
        }
    }

    /// `gate` = the activation of `gate`, times `up`.
    public func activate(gate: MatrixSlice, up: MatrixSlice) {
        let (kernels, activation) = (arithmetic.kernels, configuration.activation)
        arithmetic.forEachRow(of: gate) { row in
            kernels.activate(gate: gate.row(row), up: up.row(row), count: gate.columns, by: activation)
        }
    }

    /// `stream += input * weight^T + bias`, the product normalised by `outputNorm` if there is one, through `scratch`,
    /// which has the stream's shape; the stream is normalised then where norms stand behind.
    /// - Parameters:
    ///   - output: gets the product as it was before `outputNorm`, for who goes back through that.
    ///   - sum: gets the stream as it was before the norm behind.
    public func addToStream(
        _ input: MatrixSlice, by weight: Matrix, bias: Matrix?, norm: LayerWeights.Norm,
        outputNorm: LayerWeights.Norm? = nil, _ stream: MatrixSlice, scratch: MatrixSlice,
        keepingOutputIn output: MatrixSlice? = nil, keepingSumIn sum: MatrixSlice? = nil
    ) {
        multiply(input, by: weight, bias: bias, into: scratch)
        if let outputNorm {
            if let output { arithmetic.copy(scratch, into: output) }
            normalize(scratch, by: outputNorm, into: scratch)
        }
        arithmetic.add(scratch, to: stream)
        if configuration.normsBefore { return }
        if let sum { arithmetic.copy(stream, into: sum) }
        normalize(stream, by: norm, into: stream)
    }

    /// Adds the derivatives of ``normalize(_:by:into:)`` by its input to `gradient`, from those by its output.
    public func goBackThroughNorm(
        of input: MatrixSlice, by norm: LayerWeights.Norm, outputGradient: MatrixSlice,
        addingTo gradient: MatrixSlice
    ) {
        let (kernels, epsilon) = (arithmetic.kernels, configuration.normEpsilon)
        arithmetic.forEachRow(of: gradient) { row in
            kernels.goBackThroughNorm(
                of: input.row(row), weight: norm.weight.pointer, isLayerNorm: norm.bias != nil,
                width: input.columns, epsilon: epsilon, outputGradient: outputGradient.row(row),
                addingTo: gradient.row(row))
        }
    }
}

/// Cosines and sines of every position, `[length, headSize / 2]`.
private struct RotationTable: Sendable {
    let cosines: Matrix
    let sines: Matrix
    let negativeSines: Matrix

    init(_ rotation: Rotation, length: Int, pairs: Int) {
        cosines = Matrix(uninitializedRows: length, columns: pairs)
        sines = Matrix(uninitializedRows: length, columns: pairs)
        negativeSines = Matrix(uninitializedRows: length, columns: pairs)
        for position in 0..<length {
            rotation.turn(
                position: position, ofSequence: length, cosines: cosines.slice.row(position),
                sines: sines.slice.row(position))
            for pair in 0..<pairs { negativeSines[position, pair] = -sines[position, pair] }
        }
    }
}

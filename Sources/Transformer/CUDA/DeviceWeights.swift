import CUDA
import CUDAKernels
import Sparse
import Tensors

/// A decoder's weights in a GPU's memory, each matrix in the layout that suits its zeros.
struct DeviceWeights {
    struct Norm {
        /// float32 `[hiddenSize]`
        let weight: DeviceBuffer
        let bias: DeviceBuffer?
    }

    struct Layer {
        let inputNorm: Norm
        /// Query, key and value below each other: one launch, and enough rows for all multiprocessors.
        let queryKeyValue: DeviceMatrix
        /// float32, as all biases: one for each row of the matrix.
        let queryKeyValueBias: DeviceBuffer?
        /// float32 `[headSize]`
        let queryNorm: DeviceBuffer?
        let keyNorm: DeviceBuffer?
        let output: DeviceMatrix
        let outputBias: DeviceBuffer?
        /// Of what attention and the MLP add to the stream; nil where that is added as it is.
        let attentionOutputNorm: Norm?
        let mlpOutputNorm: Norm?
        let postAttentionNorm: Norm
        /// Gate and up below each other, or up alone.
        let inner: DeviceMatrix
        let innerBias: DeviceBuffer?
        let down: DeviceMatrix
        let downBias: DeviceBuffer?

        var matrices: [DeviceMatrix] { [queryKeyValue, output, inner, down] }
    }

    /// Of all matrices, and so of activations: bf16 if all weights are, else f16.
    let valueType: ElementType
    /// Dense, because its rows are looked up.
    let embedding: DeviceMatrix
    let layers: [Layer]
    /// nil where norms stand behind.
    let finalNorm: Norm?
    /// Dense; nil where positions are not learned.
    let positionTable: DeviceMatrix?
    /// Between the embedding table's width and the stream's; nil where these are the same.
    let embeddingProjection: DeviceMatrix?
    let headProjection: DeviceMatrix?
    /// The embedding table itself where the model ties them.
    let head: DeviceMatrix

    /// All matrices that a decoding step multiplies with.
    var matrices: [DeviceMatrix] {
        layers.flatMap(\.matrices) + [embeddingProjection, headProjection, head].compactMap(\.self)
    }

    /// Bytes that every decoding step reads.
    var byteCountPerStep: Int { matrices.reduce(0) { $0 + $1.storedByteCount } }

    /// Checks and copies all weights, layer by layer.
    /// - Throws: `ModelError` for weights that are damaged or that 16 bits cannot hold, or if the GPU's memory is full.
    init(
        _ weights: DecoderWeights, configuration: ModelConfiguration, pool: WorkerPool, on stream: CUDA.Stream
    ) throws(ModelError) {
        let all = weights.layers.flatMap(\.matrices) + [weights.embedding] + weights.outerMatrices
        let uploader = Uploader(valueType: all.allSatisfy(\.isBF16) ? .bf16 : .f16, pool: pool, stream: stream)
        let family = configuration.family
        var layers: [Layer] = []
        for (index, layer) in weights.layers.enumerated() {
            try weights.pendingChecks.run(index, on: pool)
            layers.append(try Layer(layer, family: family, prefix: family.layerPrefix(index), by: uploader))
        }
        try weights.pendingChecks.run(weights.layers.count, on: pool)
        self.layers = layers
        valueType = uploader.valueType
        finalNorm = try uploader.norm(weights.finalNorm)
        embedding = try uploader.matrix([weights.embedding], [family.embedding], layout: .dense)
        positionTable = try weights.positionTable.map { table throws(ModelError) in
            try uploader.matrix([table], [family.positionTable ?? ""], layout: .dense)
        }
        func projection(_ matrix: PackedMatrix?, _ name: String?) throws(ModelError) -> DeviceMatrix? {
            guard let matrix, let name else { return nil }
            return try uploader.matrix([matrix], [name])
        }
        embeddingProjection = try projection(weights.embeddingProjection, family.embeddingProjection)
        headProjection = try projection(weights.headProjection, family.headProjection)
        head = weights.headIsTied ? embedding : try uploader.matrix([weights.head], [family.head])
    }
}

extension DeviceWeights.Layer {
    fileprivate init(
        _ layer: DecoderWeights.Layer, family: Family, prefix: String, by uploader: Uploader
    ) throws(ModelError) {
        typealias Part = (matrix: PackedMatrix, bias: Storage<Float>?, name: String)
        func stack(_ parts: Part...) throws(ModelError) -> (DeviceMatrix, DeviceBuffer?) {
            (
                try uploader.matrix(parts.map(\.matrix), parts.map { prefix + $0.name }),
                try uploader.stack(parts.map { ($0.bias, $0.matrix.rows) })
            )
        }
        let biases = layer.biases
        inputNorm = try uploader.norm(layer.inputNorm)
        (queryKeyValue, queryKeyValueBias) = try stack(
            (layer.query, biases.query, family.queryProjection), (layer.key, biases.key, family.keyProjection),
            (layer.value, biases.value, family.valueProjection))
        queryNorm = try uploader.vector(layer.queryNorm)
        keyNorm = try uploader.vector(layer.keyNorm)
        (output, outputBias) = try stack((layer.output, biases.output, family.outputProjection))
        attentionOutputNorm = try uploader.norm(layer.attentionOutputNorm)
        mlpOutputNorm = try uploader.norm(layer.mlpOutputNorm)
        postAttentionNorm = try uploader.norm(layer.postAttentionNorm)
        let up: Part = (layer.up, biases.up, family.upProjection)
        if let gate = layer.gate, let name = family.gateProjection {
            (inner, innerBias) = try stack((gate, biases.gate, name), up)
        } else {
            (inner, innerBias) = try stack(up)
        }
        (down, downBias) = try stack((layer.down, biases.down, family.downProjection))
    }
}

private struct Uploader {
    let valueType: ElementType
    let pool: WorkerPool
    let stream: CUDA.Stream

    func vector(_ elements: Storage<Float>) throws(ModelError) -> DeviceBuffer {
        do { return try DeviceBuffer(elements, on: stream) } catch { throw ModelError(error) }
    }

    func vector(_ elements: Storage<Float>?) throws(ModelError) -> DeviceBuffer? {
        guard let elements else { return nil }
        return try vector(elements)
    }

    func norm(_ norm: DecoderWeights.Norm) throws(ModelError) -> DeviceWeights.Norm {
        DeviceWeights.Norm(weight: try vector(norm.weight), bias: try vector(norm.bias))
    }

    func norm(_ norm: DecoderWeights.Norm?) throws(ModelError) -> DeviceWeights.Norm? {
        guard let norm else { return nil }
        return try self.norm(norm)
    }

    /// Vectors behind each other, zeros where there is none; nil if there is none at all.
    func stack(_ vectors: [(elements: Storage<Float>?, count: Int)]) throws(ModelError) -> DeviceBuffer? {
        if vectors.allSatisfy({ $0.elements == nil }) { return nil }
        let elements = vectors.flatMap { vector in
            vector.elements.map { Array($0.buffer) } ?? [Float](repeating: 0, count: vector.count)
        }
        do { return try DeviceBuffer(elements, on: stream) } catch { throw ModelError(error) }
    }

    func matrix(
        _ matrices: [PackedMatrix], _ names: [String], layout: DeviceLayout? = nil
    ) throws(ModelError) -> DeviceMatrix {
        do throws(DeviceMatrixError) {
            return try DeviceMatrix(stacking: matrices, as: valueType, layout: layout, pool: pool, on: stream)
        } catch {
            switch error {
            case .overflow(let weight, let index):
                throw ModelError(
                    names[index], expected: "weights that \(weight.type) can hold",
                    found: "\(weight.value) at row \(weight.row), column \(weight.column)")
            case .sparse(let error):
                let name = names.joined(separator: ", ")
                throw ModelError(name, expected: "weights that can be encoded", found: "\(error)")
            case .cuda(let error): throw ModelError(error)
            }
        }
    }
}

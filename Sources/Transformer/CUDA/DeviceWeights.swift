import CUDA
import CUDAKernels
import Sparse
import Tensors

/// A decoder's weights in a GPU's memory, each matrix in the layout that suits its zeros.
struct DeviceWeights {
    struct Layer {
        /// float32 `[hiddenSize]`
        let inputNorm: DeviceBuffer
        /// Query, key and value below each other: one launch, and enough rows for all multiprocessors.
        let queryKeyValue: DeviceMatrix
        let output: DeviceMatrix
        let postAttentionNorm: DeviceBuffer
        /// Gate and up below each other.
        let gateUp: DeviceMatrix
        let down: DeviceMatrix

        var matrices: [DeviceMatrix] { [queryKeyValue, output, gateUp, down] }
    }

    /// Of all matrices, and so of activations: bf16 if all weights are, else f16.
    let valueType: ElementType
    /// Dense, because its rows are looked up.
    let embedding: DeviceMatrix
    let layers: [Layer]
    let finalNorm: DeviceBuffer
    /// The embedding table itself where the model ties them.
    let head: DeviceMatrix

    /// Bytes that every decoding step reads.
    var byteCountPerStep: Int {
        layers.reduce(head.storedByteCount) { sum, layer in
            sum + layer.matrices.reduce(0) { $0 + $1.storedByteCount }
        }
    }

    /// Checks and copies all weights, layer by layer.
    /// - Throws: `ModelError` for weights that are damaged or that 16 bits cannot hold, or if the GPU's memory is full.
    init(
        _ weights: DecoderWeights, configuration: ModelConfiguration, pool: WorkerPool, on stream: CUDA.Stream
    ) throws(ModelError) {
        let all = weights.layers.flatMap(\.matrices) + [weights.embedding, weights.head]
        let uploader = Uploader(valueType: all.allSatisfy(\.isBF16) ? .bf16 : .f16, pool: pool, stream: stream)
        let family = configuration.family
        var layers: [Layer] = []
        for (index, layer) in weights.layers.enumerated() {
            try weights.pendingChecks.run(index, on: pool)
            let prefix = family.layerPrefix(index)
            func matrix(_ matrices: (PackedMatrix, name: String)...) throws(ModelError) -> DeviceMatrix {
                try uploader.matrix(matrices.map(\.0), matrices.map { prefix + $0.name })
            }
            guard let gate = layer.gate, let gateName = family.gateProjection else {
                preconditionFailure("an MLP without a gate on a GPU")
            }
            layers.append(
                Layer(
                    inputNorm: try uploader.vector(layer.inputNorm.weight),
                    queryKeyValue: try matrix(
                        (layer.query, family.queryProjection), (layer.key, family.keyProjection),
                        (layer.value, family.valueProjection)),
                    output: try matrix((layer.output, family.outputProjection)),
                    postAttentionNorm: try uploader.vector(layer.postAttentionNorm.weight),
                    gateUp: try matrix((gate, gateName), (layer.up, family.upProjection)),
                    down: try matrix((layer.down, family.downProjection))))
        }
        try weights.pendingChecks.run(weights.layers.count, on: pool)
        self.layers = layers
        valueType = uploader.valueType
        guard let norm = weights.finalNorm else { preconditionFailure("no final norm on a GPU") }
        finalNorm = try uploader.vector(norm.weight)
        embedding = try uploader.matrix([weights.embedding], [family.embedding], layout: .dense)
        head = weights.headIsTied ? embedding : try uploader.matrix([weights.head], [family.head])
    }
}

private struct Uploader {
    let valueType: ElementType
    let pool: WorkerPool
    let stream: CUDA.Stream

    func vector(_ elements: Storage<Float>) throws(ModelError) -> DeviceBuffer {
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

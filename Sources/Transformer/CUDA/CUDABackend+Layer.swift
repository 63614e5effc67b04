import CUDA
import CUDAKernels

extension CUDABackend {
    public func embed(_ batch: Batch) throws(ModelError) {
        try onDevice { () throws(CUDAError) in
            try steps.enqueueEmbedding(
                weights.embedding, tokens: inputs.tokens, count: batch.tokens.count,
                hidden: activations.hidden.address, on: stream)
        }
    }

    public func projectAttention(layer index: Int, _ batch: Batch) throws(ModelError) {
        let (layer, tokens) = (weights.layers[index], batch.tokens.count)
        try onDevice { () throws(CUDAError) in
            try normalize(layer.inputNorm, tokens: tokens)
            try multiplyNormalized(layer.queryKeyValue, into: activations.projected, tokens: tokens)
            try steps.enqueueRotation(
                DecoderSteps.Rotation(
                    projected: activations.projected.address, positions: inputs.positions, slots: inputs.slots,
                    rotated: activations.rotated.address, cache: cache[index].address),
                tokens: tokens, geometry: geometry, table: rotations, on: stream)
        }
    }

    public func attend(layer index: Int, _ batch: Batch) throws(ModelError) {
        try onDevice { () throws(CUDAError) in
            try attention.enqueue(
                Attention.Operands(
                    queries: activations.rotated.address, cache: cache[index].address,
                    output: activations.attended.address, outputStride: activations.attendedStride,
                    outputType: weights.valueType, tasks: inputs.tasks, blocks: inputs.blocks),
                schedule: schedule, workspace: attentionWorkspace, on: stream)
        }
    }

    public func addAttention(layer index: Int, _ batch: Batch) throws(ModelError) {
        try onDevice { () throws(CUDAError) in
            try addToHidden(
                weights.layers[index].output, input: activations.attended, stride: activations.attendedStride,
                tokens: batch.tokens.count)
        }
    }

    public func addMLP(layer index: Int, _ batch: Batch) throws(ModelError) {
        let (layer, tokens) = (weights.layers[index], batch.tokens.count)
        try onDevice { () throws(CUDAError) in
            try normalize(layer.postAttentionNorm, tokens: tokens)
            try multiplyNormalized(layer.gateUp, into: activations.gateUp, tokens: tokens)
            try steps.enqueueGate(
                input: activations.gateUp.address, width: configuration.intermediateSize, tokens: tokens,
                output: activations.gated.address, outputStride: activations.gatedStride, on: stream)
            try addToHidden(
                layer.down, input: activations.gated, stride: activations.gatedStride, tokens: tokens)
        }
    }

    private func normalize(_ weight: DeviceBuffer, tokens: Int) throws(CUDAError) {
        try steps.enqueueNorm(
            input: activations.hidden.address, weight: weight.address, width: configuration.hiddenSize,
            epsilon: configuration.normEpsilon, count: tokens, output: activations.normalized.address,
            outputStride: activations.hiddenStride, on: stream)
    }

    private func multiplyNormalized(
        _ matrix: DeviceMatrix, into output: DeviceBuffer, tokens: Int
    ) throws(CUDAError) {
        try longProducts.enqueue(
            matrix,
            ProductOperands(
                input: activations.normalized.address, inputStride: activations.hiddenStride, output: output.address,
                outputStride: matrix.rows, outputType: .f32, tokens: tokens),
            workspace: workspace)
    }

    private func addToHidden(
        _ matrix: DeviceMatrix, input: DeviceBuffer, stride: Int, tokens: Int
    ) throws(CUDAError) {
        try longProducts.enqueue(
            matrix,
            ProductOperands(
                input: input.address, inputStride: stride, output: activations.hidden.address,
                outputStride: configuration.hiddenSize, outputType: .addF32, tokens: tokens),
            workspace: workspace)
    }
}

import CUDA
import CUDAKernels

extension CUDABackend {
    public func embed(_ batch: Batch) throws(ModelError) {
        let tokens = batch.tokens.count
        try onDevice { () throws(CUDAError) in
            let target = weights.embeddingProjection == nil ? activations.hidden : activations.embedded
            try steps.enqueueEmbedding(
                weights.embedding, places: inputs.tokens, count: tokens, scale: configuration.embeddingScale,
                hidden: target.address, on: stream)
            if let projection = weights.embeddingProjection {
                try narrow(
                    target, width: configuration.embeddingSize, tokens: tokens, into: activations.embeddedInput,
                    stride: activations.embeddedStride)
                try multiply(
                    projection, activations.embeddedInput, stride: activations.embeddedStride,
                    into: activations.hidden, tokens: tokens)
            }
            if case .learned(let offset) = configuration.positions, let table = weights.positionTable {
                try steps.enqueueEmbedding(
                    table, places: inputs.positions, firstRow: offset, count: tokens, adds: true,
                    hidden: activations.hidden.address, on: stream)
            }
            if configuration.normsBefore { return }
            try narrow(
                activations.hidden, width: configuration.hiddenSize, tokens: tokens, into: activations.normalized,
                stride: activations.hiddenStride)
        }
    }

    public func projectAttention(layer index: Int, _ batch: Batch) throws(ModelError) {
        let (layer, tokens) = (weights.layers[index], batch.tokens.count)
        try onDevice { () throws(CUDAError) in
            // The output product is the next to add to the stream.
            if configuration.normsBefore {
                let addend = layer.attentionOutputNorm == nil ? layer.outputBias : nil
                try normalize(layer.inputNorm, addend: addend, tokens: tokens)
            }
            try multiply(
                layer.queryKeyValue, activations.normalized, stride: activations.hiddenStride,
                into: activations.projected, tokens: tokens)
            var rotation = DecoderSteps.Rotation(
                projected: activations.projected.address, positions: inputs.positions, slots: inputs.slots,
                rotated: activations.rotated.address, cache: cache[index].address)
            rotation.bias = layer.queryKeyValueBias?.address
            rotation.queryNorm = layer.queryNorm?.address
            rotation.keyNorm = layer.keyNorm?.address
            rotation.epsilon = configuration.normEpsilon
            try steps.enqueueRotation(
                rotation, tokens: tokens, geometry: geometry,
                table: configuration.rotation(layer: index).map { rotations[$0] }, on: stream)
        }
    }

    public func attend(layer index: Int, _ batch: Batch) throws(ModelError) {
        try onDevice { () throws(CUDAError) in
            try attention.enqueue(
                Attention.Operands(
                    queries: activations.rotated.address, cache: cache[index].address,
                    output: activations.attended.address, outputStride: activations.attendedStride,
                    outputType: weights.valueType, tasks: inputs.tasks, blocks: inputs.blocks,
                    window: configuration.window(layer: index), scale: configuration.attentionScale,
                    cap: configuration.attentionCap),
                schedule: schedule, workspace: attentionWorkspace, on: stream)
        }
    }

    public func addAttention(layer index: Int, _ batch: Batch) throws(ModelError) {
        let (layer, tokens) = (weights.layers[index], batch.tokens.count)
        try onDevice { () throws(CUDAError) in
            try addToHidden(
                layer.output, bias: layer.outputBias, norm: layer.attentionOutputNorm, input: activations.attended,
                stride: activations.attendedStride, tokens: tokens)
            if configuration.normsBefore { return }
            try normalize(layer.inputNorm, addend: layer.outputBias, tokens: tokens)
        }
    }

    public func addMLP(layer index: Int, _ batch: Batch) throws(ModelError) {
        let (layer, tokens) = (weights.layers[index], batch.tokens.count)
        try onDevice { () throws(CUDAError) in
            if configuration.normsBefore {
                let addend = layer.mlpOutputNorm == nil ? layer.downBias : nil
                try normalize(layer.postAttentionNorm, addend: addend, tokens: tokens)
            }
            try multiply(
                layer.inner, activations.normalized, stride: activations.hiddenStride, into: activations.inner,
                tokens: tokens)
            try steps.enqueueActivation(
                activation, input: activations.inner.address, bias: layer.innerBias?.address,
                width: configuration.intermediateSize, tokens: tokens, output: activations.activated.address,
                outputStride: activations.activatedStride, on: stream)
            try addToHidden(
                layer.down, bias: layer.downBias, norm: layer.mlpOutputNorm, input: activations.activated,
                stride: activations.activatedStride, tokens: tokens)
            if configuration.normsBefore { return }
            try normalize(layer.postAttentionNorm, addend: layer.downBias, tokens: tokens)
        }
    }

    /// What products read, of the stream; where norms stand behind, the stream becomes that as well.
    private func normalize(_ norm: DeviceWeights.Norm, addend: DeviceBuffer?, tokens: Int) throws(CUDAError) {
        try steps.enqueueNorm(
            stepNorm(norm), input: activations.hidden.address, width: configuration.hiddenSize,
            addend: addend?.address, standsBehind: !configuration.normsBefore, count: tokens,
            output: activations.normalized.address, outputStride: activations.hiddenStride, on: stream)
    }

    func stepNorm(_ norm: DeviceWeights.Norm) -> DecoderSteps.Norm {
        DecoderSteps.Norm(
            kind: configuration.family.norm == .rms ? .rootMeanSquare : .layer, weight: norm.weight.address,
            bias: norm.bias?.address, epsilon: configuration.normEpsilon)
    }

    /// Rounds float32 rows to what products read.
    func narrow(
        _ input: DeviceBuffer, width: Int, tokens: Int, into output: DeviceBuffer, stride: Int
    ) throws(CUDAError) {
        try steps.enqueueNorm(
            nil, input: input.address, width: width, count: tokens, output: output.address, outputStride: stride,
            on: stream)
    }

    private func multiply(
        _ matrix: DeviceMatrix, _ input: DeviceBuffer, stride: Int, into output: DeviceBuffer, tokens: Int
    ) throws(CUDAError) {
        try longProducts.enqueue(
            matrix, operands(matrix, input, stride: stride, into: output, .f32, tokens: tokens), workspace: workspace)
    }

    /// - Parameters:
    ///   - bias: of the product, for the norm. Without one the stream has it already.
    ///   - norm: of what is added.
    private func addToHidden(
        _ matrix: DeviceMatrix, bias: DeviceBuffer?, norm: DeviceWeights.Norm?, input: DeviceBuffer, stride: Int,
        tokens: Int
    ) throws(CUDAError) {
        if let norm {
            try multiply(matrix, input, stride: stride, into: activations.addend, tokens: tokens)
            return try steps.enqueueNorm(
                stepNorm(norm), input: activations.addend.address, width: configuration.hiddenSize,
                addend: bias?.address, count: tokens, addingTo: activations.hidden.address, on: stream)
        }
        try longProducts.enqueue(
            matrix, operands(matrix, input, stride: stride, into: activations.hidden, .addF32, tokens: tokens),
            workspace: workspace)
    }

    /// Rows of `input` times a matrix, into rows without gaps.
    func operands(
        _ matrix: DeviceMatrix, _ input: DeviceBuffer, stride: Int, into output: DeviceBuffer,
        _ outputType: ProductOutput, tokens: Int
    ) -> ProductOperands {
        ProductOperands(
            input: input.address, inputStride: stride, output: output.address, outputStride: matrix.rows,
            outputType: outputType, tokens: tokens)
    }
}

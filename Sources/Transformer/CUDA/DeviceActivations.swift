import CUDA
import CUDAKernels
import Tensors

/// A batch's activations in a GPU's memory, allocated once for the largest batch. Row-major; a step overwrites its
/// outputs whole for the tokens of the batch. 16-bit rows are filled up with zeros to a multiple of 8 elements.
struct DeviceActivations {
    /// float32 `[tokens, hiddenSize]`: the residual stream.
    let hidden: DeviceBuffer
    /// float32 `[tokens, hiddenSize]`: what will be added to it, where that is normalised; else empty.
    let addend: DeviceBuffer
    /// 16-bit `[tokens, hiddenStride]`: hidden, normalised.
    let normalized: DeviceBuffer
    /// float32 `[tokens, queryWidth + 2 * keyValueWidth]`: queries, keys, values.
    let projected: DeviceBuffer
    /// f16 `[tokens, queryHeads, headStride]`
    let rotated: DeviceBuffer
    /// 16-bit `[tokens, attendedStride]`; what fills its rows up is zero from the beginning.
    let attended: DeviceBuffer
    /// float32 `[tokens, parts, intermediateSize]`: gate, then up, or up alone.
    let inner: DeviceBuffer
    /// 16-bit `[tokens, activatedStride]`
    let activated: DeviceBuffer
    /// 16-bit `[logitsTokens, hiddenStride]`: hidden of single tokens, normalised for the head.
    let chosen: DeviceBuffer
    /// float32 `[logitsTokens, vocabularySize]`
    let logits: DeviceBuffer
    /// Int32 `[logitsTokens]`: the places of the largest logits.
    let choices: DeviceBuffer

    /// float32 `[tokens, embeddingSize]` and 16-bit `[tokens, embeddedStride]`, where the embedding table and the head
    /// have another width than the stream; else empty.
    let embedded: DeviceBuffer
    let embeddedInput: DeviceBuffer

    let hiddenStride: Int
    let attendedStride: Int
    let activatedStride: Int
    let embeddedStride: Int

    init(
        _ configuration: ModelConfiguration, geometry: AttentionGeometry, activation: DecoderSteps.Activation,
        tokens: Int, logitsTokens: Int, on stream: CUDA.Stream
    ) throws(CUDAError) {
        func stride(_ width: Int) -> Int { (width + 7) / 8 * 8 }
        func rows(_ count: Int, _ bytes: Int) throws(CUDAError) -> DeviceBuffer {
            try DeviceBuffer(byteCount: count * bytes, in: stream.context)
        }
        hiddenStride = stride(configuration.hiddenSize)
        attendedStride = stride(configuration.queryWidth)
        activatedStride = stride(configuration.intermediateSize)
        embeddedStride = stride(configuration.embeddingSize)
        hidden = try rows(tokens, 4 * configuration.hiddenSize)
        let normsAddends =
            configuration.family.attentionOutputNorm != nil || configuration.family.mlpOutputNorm != nil
        addend = try rows(normsAddends ? tokens : 0, 4 * configuration.hiddenSize)
        normalized = try rows(tokens, 2 * hiddenStride)
        projected = try rows(tokens, 4 * (configuration.queryWidth + 2 * configuration.keyValueWidth))
        rotated = try rows(tokens, 2 * geometry.queryStride)
        attended = try rows(tokens, 2 * attendedStride)
        try attended.enqueueFill(on: stream)
        inner = try rows(tokens, activation.parts * 4 * configuration.intermediateSize)
        activated = try rows(tokens, 2 * activatedStride)
        let projectedTokens = configuration.projectsEmbeddings ? max(tokens, logitsTokens) : 0
        embedded = try rows(projectedTokens, 4 * configuration.embeddingSize)
        embeddedInput = try rows(projectedTokens, 2 * embeddedStride)
        chosen = try rows(logitsTokens, 2 * hiddenStride)
        logits = try rows(logitsTokens, 4 * configuration.vocabularySize)
        choices = try rows(logitsTokens, 4)
    }
}

public import Checkpoints
import Tensors

extension ModelConfiguration {
    /// What a GGUF file of the model says besides its tensors.
    /// - Parameter storedFactors: what a GGUF file that is written again divides frequencies by.
    /// - Throws: `ModelError` for a rotary scaling that no GGUF file can say.
    public func ggufTraits(storedFactors: [Float]? = nil) throws(ModelError) -> GGUFTraits {
        var sizes = GGUFTraits.Sizes()
        sizes.hidden = hiddenSize
        sizes.intermediate = intermediateSize
        sizes.layers = layerCount
        sizes.heads = headCount
        sizes.keyValueHeads = keyValueHeadCount
        sizes.head = headSize
        sizes.vocabulary = vocabularySize
        sizes.context = maximumContext
        var rotary: GGUFTraits.Rotary?
        if let parameters = self.rotary {
            rotary = GGUFTraits.Rotary(base: parameters.base)
            if let storedFactors {
                rotary?.scaling = .factors(storedFactors)
            } else {
                rotary?.scaling = try ggufScaling(parameters)
            }
        }
        return GGUFTraits(
            sizes: sizes, normEpsilon: Double(normEpsilon), activation: activation.name, rotary: rotary,
            attention: try ggufAttention(), tiesHead: tiesHead)
    }

    private func ggufAttention() throws(ModelError) -> GGUFTraits.Attention {
        var windowRotary: GGUFTraits.Rotary?
        if let parameters = self.windowRotary {
            windowRotary = GGUFTraits.Rotary(base: parameters.base, scaling: try ggufScaling(parameters))
        }
        var attention = GGUFTraits.Attention(
            windows: windows, windowRotary: windowRotary, rotates: (0..<layerCount).map { rotates(layer: $0) },
            scale: Double(attentionScale))
        attention.cap = attentionCap.map { Double($0) }
        attention.logitCap = logitCap.map { Double($0) }
        return attention
    }

    private func ggufScaling(_ parameters: RotaryParameters) throws(ModelError) -> GGUFTraits.Scaling {
        switch parameters.scaling {
        // Within the context dynamic scaling is none.
        case .none, .dynamic: return .none
        case .linear(let factor): return .linear(factor)
        case .llama3: return .factors(parameters.frequencyFactors(headSize: headSize) ?? [])
        case .yarn(let yarn):
            guard yarn.truncates, let context = Int(exactly: yarn.originalContext) else {
                throw ModelError(
                    "the rotary scaling", expected: "YaRN from a whole context to whole pairs for a GGUF file",
                    found: yarn.truncates ? "a context of \(yarn.originalContext)" : "truncate false")
            }
            return .yarn(
                factor: yarn.factor, originalContext: context, fastTurns: yarn.fastTurns, slowTurns: yarn.slowTurns,
                attentionFactor: yarn.attentionFactor)
        case .longRope(let rope):
            return .longRope(
                short: rope.shortFactors.map { Float($0) }, long: rope.longFactors.map { Float($0) },
                originalContext: rope.originalContext, attentionFactor: rope.attentionFactor)
        }
    }
}

extension ModelConfiguration.Activation {
    /// As config.json has it.
    var name: String {
        switch self {
        case .gatedSilu: "silu"
        case .relu: "relu"
        case .gelu: "gelu"
        case .geluTanh: "gelu_new"
        case .gatedGeluTanh: "gelu_pytorch_tanh"
        }
    }
}

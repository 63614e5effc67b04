extension ModelConfiguration {
    /// What this decoder does that GPU kernels do not know, in words; nil if nothing.
    var unknownToGPUs: String? {
        if activation == .gatedGeluTanh { return "a gate of another kind" }
        if rotary?.shortLimit != nil { return "rotations that depend on a sequence's length" }
        if windowRotary != nil { return "two rotations" }
        if family.attentionOutputNorm != nil || family.mlpOutputNorm != nil { return "norms of what is added" }
        if embeddingScale != 1 { return "embeddings that are scaled" }
        if attentionCap != nil || logitCap != nil { return "soft caps" }
        if attentionScale != 1 / Float(headSize).squareRoot() { return "another scale of attention" }
        return nil
    }
}

extension GGUFExporter {
    func add(_ traits: GGUFTraits, to metadata: inout GGUFMetadataWriter) {
        let prefix = architecture.name + "."
        let sizes = traits.sizes
        var numbers = [
            ("context_length", sizes.context), ("embedding_length", sizes.hidden), ("block_count", sizes.layers),
            ("feed_forward_length", sizes.intermediate), ("attention.head_count", sizes.heads),
            ("attention.head_count_kv", sizes.keyValueHeads), ("vocab_size", sizes.vocabulary),
            ("attention.key_length", sizes.head), ("attention.value_length", sizes.head),
        ]
        if architecture.isRotary { numbers.append(("rope.dimension_count", sizes.head)) }
        // 0 says that all layers look at all of the context.
        if let window = window(traits) { numbers.append(("attention.sliding_window", window)) }
        for (key, size) in numbers { metadata.add(prefix + key, UInt32(clamping: size)) }
        metadata.add(prefix + architecture.epsilonKey, Float(traits.normEpsilon))
        let caps = [
            ("attn_logit_softcapping", traits.attention.cap), ("final_logit_softcapping", traits.attention.logitCap),
        ]
        for case (let key, let cap?) in caps { metadata.add(prefix + key, Float(cap)) }
        guard let rotary = traits.rotary else { return }
        metadata.add(prefix + "rope.freq_base", Float(rotary.base))
        add(rotary.scaling, to: &metadata, prefix: prefix + "rope.scaling.")
    }

    private func add(_ scaling: GGUFTraits.Scaling, to metadata: inout GGUFMetadataWriter, prefix: String) {
        func begin(_ type: String, originalContext: Int? = nil) {
            metadata.add(prefix + "type", type)
            if let originalContext {
                metadata.add(prefix + "original_context_length", UInt32(clamping: originalContext))
            }
        }
        switch scaling {
        case .none, .factors: break
        case .linear(let factor):
            begin("linear")
            metadata.add(prefix + "factor", Float(factor))
        case .yarn(let factor, let context, let fastTurns, let slowTurns, let attentionFactor):
            begin("yarn", originalContext: context)
            metadata.add(prefix + "factor", Float(factor))
            metadata.add(prefix + "yarn_beta_fast", Float(fastTurns))
            metadata.add(prefix + "yarn_beta_slow", Float(slowTurns))
            // llama.cpp multiplies with what it finds here besides.
            let besides = attentionFactor / GGUFTraits.yarnGrowth(factor)
            if Float(besides) != 1 { metadata.add(prefix + "attn_factor", Float(besides)) }
        case .longRope(_, _, let context, let attentionFactor):
            begin("longrope", originalContext: context)
            metadata.add(prefix + "attn_factor", Float(attentionFactor))
        }
    }

    func add(_ tokenizer: GGUFTokenizer, to metadata: inout GGUFMetadataWriter) {
        let prefix = "tokenizer.ggml."
        metadata.add(prefix + "model", tokenizer.model)
        if let pre = tokenizer.pre { metadata.add(prefix + "pre", pre) }
        metadata.add(prefix + "tokens", tokenizer.tokens)
        if !tokenizer.scores.isEmpty { metadata.add(prefix + "scores", tokenizer.scores) }
        if !tokenizer.tokenTypes.isEmpty {
            metadata.add(prefix + "token_type", tokenizer.tokenTypes.map { Int32(clamping: $0) })
        }
        if !tokenizer.merges.isEmpty { metadata.add(prefix + "merges", tokenizer.merges) }
        let ids = [
            ("bos", tokenizer.beginningID), ("eos", tokenizer.endID), ("eot", tokenizer.endOfTurnID),
            ("unknown", tokenizer.unknownID), ("padding", tokenizer.paddingID),
        ]
        for case (let key, let id?) in ids { metadata.add(prefix + key + "_token_id", UInt32(id)) }
        let flags = [
            ("add_bos_token", tokenizer.addsBeginning), ("add_eos_token", tokenizer.addsEnd),
            ("add_space_prefix", tokenizer.addsSpacePrefix),
        ]
        for case (let key, let flag?) in flags { metadata.add(prefix + key, flag) }
        if let template = tokenizer.chatTemplate { metadata.add("tokenizer.chat_template", template) }
    }
}

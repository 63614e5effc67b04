extension GGUFExporter {
    private func unsupported(_ subject: String, expected: String, found: String) -> CheckpointError {
        CheckpointError(
            .unsupported, path: weights.checkpoint.path, subject: subject,
            expected: "\(expected) for a GGUF file of type \(architecture.name)", found: found)
    }

    /// Refuses what a file would say to a decoder that does not know it, and that would answer nonsense then.
    func check(_ traits: GGUFTraits) throws(CheckpointError) {
        if let window = traits.window, !architecture.hasWindow {
            throw unsupported(
                "the model's attention", expected: "all of the context in every layer",
                found: "a window of \(window) tokens")
        }
        guard traits.activation == architecture.activation else {
            throw unsupported(
                "the MLP's activation", expected: architecture.activation.quoted, found: traits.activation.quoted)
        }
        let kind = traits.rotary?.scaling.kind
        guard kind.map(architecture.scalings.contains) ?? !architecture.isRotary else {
            let known = GGUFTraits.Scaling.Kind.allCases.filter(architecture.scalings.contains).map(\.rawValue)
            throw unsupported(
                "the rotary scaling", expected: "one of \(known.joined(separator: ", "))",
                found: kind?.rawValue ?? "learned positions")
        }
    }

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
        if architecture.hasWindow { numbers.append(("attention.sliding_window", traits.window ?? 0)) }
        for (key, size) in numbers { metadata.add(prefix + key, UInt32(clamping: size)) }
        metadata.add(prefix + architecture.epsilonKey, Float(traits.normEpsilon))
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

/// Refuses what a file would say to a decoder that does not know it, and that would answer nonsense then.
extension GGUFExporter {
    private func unsupported(_ subject: String, expected: String, found: String) -> CheckpointError {
        CheckpointError(
            .unsupported, path: weights.checkpoint.path, subject: subject,
            expected: "\(expected) for a GGUF file of type \(architecture.name)", found: found)
    }

    func check(_ traits: GGUFTraits) throws(CheckpointError) {
        try checkWindows(traits)
        guard traits.activation == architecture.activation else {
            throw unsupported(
                "the MLP's activation", expected: architecture.activation.quoted, found: traits.activation.quoted)
        }
        try checkRotation(traits)
        try checkScale(traits)
        guard architecture.mayUntieHead || traits.tiesHead else {
            throw unsupported("the model's head", expected: "the embedding table", found: "a matrix of its own")
        }
    }

    /// What a file says of windows: 0 if there is none; nil if the architecture has no word for it.
    func window(_ traits: GGUFTraits) -> Int? {
        let first = traits.attention.windows.compactMap(\.self).first ?? 0
        switch architecture.windows {
        case .none: return nil
        // One that hides nothing is none.
        case .all: return first < traits.sizes.context ? first : 0
        // Layers with a window may rotate otherwise, whatever it hides.
        case .allButOneIn: return first
        }
    }

    private func checkWindows(_ traits: GGUFTraits) throws(CheckpointError) {
        let windows = traits.attention.windows
        let sizes = Set(windows.compactMap(\.self))
        switch architecture.windows {
        case .none, .all:
            let hiding = windows.map { $0.flatMap { $0 < traits.sizes.context ? $0 : nil } }
            if case .all = architecture.windows, Set(hiding).count <= 1 { return }
            guard let window = hiding.compactMap(\.self).first else { return }
            throw unsupported(
                "the model's attention", expected: "all of the context in every layer",
                found: "a window of \(window) tokens")
        case .allButOneIn(let interval):
            let isUsual = windows.enumerated().allSatisfy { ($0.element == nil) == (($0.offset + 1) % interval == 0) }
            // Gemma 3's decoder has one without windows, too; Gemma 2's has not.
            guard sizes.count == 1 && isUsual || sizes.isEmpty && architecture.windowBase != nil else {
                let count = windows.count { $0 != nil }
                throw unsupported(
                    "the model's attention", expected: "one window in all layers but the last of every \(interval)",
                    found: sizes.count > 1
                        ? "windows of \(sizes.sorted().prefix(4)) tokens" : "one in \(count) of \(windows.count)")
            }
        }
    }

    private func checkRotation(_ traits: GGUFTraits) throws(CheckpointError) {
        let kind = traits.rotary?.scaling.kind
        guard kind.map(architecture.scalings.contains) ?? !architecture.isRotary else {
            let known = GGUFTraits.Scaling.Kind.allCases.filter(architecture.scalings.contains).map(\.rawValue)
            throw unsupported(
                "the rotary scaling", expected: "one of \(known.joined(separator: ", "))",
                found: kind?.rawValue ?? "learned positions")
        }
        guard architecture.isRotary else { return }
        let usual = traits.attention.rotates.indices.map { layer in
            architecture.rotationInterval.map { (layer + 1) % $0 != 0 } ?? true
        }
        guard traits.attention.rotates == usual else {
            let still = traits.attention.rotates.indices.filter { !traits.attention.rotates[$0] }
            throw unsupported(
                "the layers that rotate",
                expected: architecture.rotationInterval.map { "all but the last of every \($0)" } ?? "all",
                found: still.isEmpty ? "all" : "none in layers \(still.prefix(8)), from 0")
        }
        guard let base = architecture.windowBase, traits.attention.windows.contains(where: { $0 != nil }) else {
            return
        }
        let window = traits.attention.windowRotary
        guard let window, window.base == base, window.scaling == .none else {
            throw unsupported(
                "the rotation of layers with a window", expected: "the base \(base), not scaled",
                found: window.map { "the base \($0.base), scaling \($0.scaling.kind)" } ?? "that of the others")
        }
    }

    private func checkScale(_ traits: GGUFTraits) throws(CheckpointError) {
        let (sizes, attention) = (traits.sizes, traits.attention)
        if let scale = architecture.scale {
            let divisor = Double(
                scale.divisor(
                    layers: sizes.layers, width: sizes.hidden, heads: max(sizes.heads, 1), headSize: sizes.head))
            let found = 1 / (attention.scale * attention.scale)
            // Scales come as Float32.
            guard abs(found - divisor) <= 1e-5 * divisor else {
                throw unsupported(
                    "query_pre_attn_scalar", expected: "\(Int(divisor)), which llama.cpp takes",
                    found: "\(Float(found))")
            }
        }
        let isRight =
            switch architecture.caps {
            case .none: attention.cap == nil && attention.logitCap == nil
            case .logits: attention.cap == nil
            case .both: attention.cap != nil && attention.logitCap != nil
            }
        guard isRight else {
            func text(_ cap: Double?) -> String { cap.map { "\($0)" } ?? "none" }
            let expected =
                switch architecture.caps {
                case .none: "none"
                case .logits: "none of attention"
                case .both: "one of attention and one of logits"
                }
            throw unsupported(
                "the soft caps", expected: expected,
                found: "of attention \(text(attention.cap)), of logits \(text(attention.logitCap))")
        }
    }

    /// - Parameter item: a tensor of the model that is to be written.
    func check(_ item: Item, of name: String) throws(CheckpointError) {
        if !architecture.hasBiases, item.tensor.name.hasSuffix(".bias") {
            throw unsupported("tensor \(name.quoted)", expected: "no biases", found: "one")
        }
        if item.offset != 0, item.tensor.type != .F32 {
            throw unsupported("tensor \(name.quoted)", expected: "a vector", found: "shape \(item.tensor.shape)")
        }
    }
}

import OrderedJSON

extension GGUFModel {
    /// Which layers have a window, as config.json says it; nil where the architecture has no two kinds of layers, or
    /// the file too few tensors for so many.
    static func layerTypes(
        _ file: GGUFFile, _ architecture: GGUFArchitecture, _ metadata: GGUFMetadata, layers: Int,
        hasWindow: Bool
    ) throws(CheckpointError) -> JSON? {
        guard case .allButOneIn(let usual) = architecture.windows else { return nil }
        if architecture.windowBase == nil { try checkWindowBase(architecture, metadata) }
        let key = architecture.name + ".attention.sliding_window_pattern"
        let flags: [Bool]
        if let array = file.metadata[key]?.arrayValue {
            // More than layers that exist are left over by programs that count others besides.
            guard let listed = array.flags(), listed.count >= layers else {
                throw metadata.damaged(
                    key, expected: "a yes or no for each of \(layers) layers",
                    found: "\(array.count) of type \(array.elementType)")
            }
            flags = Array(listed.prefix(layers))
        } else {
            let interval = try metadata.optional(key, "a positive integer or an array", \.positiveValue) ?? usual
            guard layers <= file.tensors.count else { return nil }
            flags = (0..<layers).map { ($0 + 1) % interval != 0 }
        }
        return .array(flags.map { $0 && hasWindow ? "sliding_attention" : "full_attention" })
    }

    /// A base of their own for layers with a window, which the configuration of such a family has no entry for.
    private static func checkWindowBase(
        _ architecture: GGUFArchitecture, _ metadata: GGUFMetadata
    ) throws(CheckpointError) {
        let key = architecture.name + ".rope.freq_base_swa"
        let usual = try metadata.optional(
            architecture.name + ".rope.freq_base", "a finite number", \.finiteValue)
        guard let base = try metadata.optional(key, "a finite number", \.finiteValue), base != usual ?? 10_000 else {
            return
        }
        throw metadata.damaged(key, expected: "the base of all layers, \(usual ?? 10_000)", found: "\(base)")
    }
}

extension GGUFArray {
    /// The elements of an array of booleans, or of integers of which 0 says no; nil for other arrays.
    func flags() -> [Bool]? {
        if elementType == .bool { return withExtendedLifetime(bytes) { $0.buffer.map { $0 != 0 } } }
        return integers()?.map { $0 != 0 }
    }
}

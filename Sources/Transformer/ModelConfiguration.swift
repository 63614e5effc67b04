public import OrderedJSON

/// The sizes and constants of a decoder, checked and limited, from a Hugging Face `config.json`.
public struct ModelConfiguration: Sendable {
    /// How a token's position comes in.
    public enum Positions: Sendable, Equatable {
        /// Queries and keys are rotated.
        case rotary(RotaryParameters)
        /// The row of a table that is so many behind the position's is added to the embedding.
        case learned(offset: Int)
    }

    /// What stands between the MLP's products.
    public enum Activation: Sendable, Equatable {
        /// silu(gate) * up
        case gatedSilu
        /// The same with ``geluTanh``.
        case gatedGeluTanh
        case relu
        /// With the error function.
        case gelu
        /// With tanh in its place.
        case geluTanh

        /// Whether a second product is multiplied with what the activation gives.
        public var isGated: Bool { self == .gatedSilu || self == .gatedGeluTanh }
    }

    /// Which products a bias is added to.
    public struct Biases: Sendable, Equatable {
        public let queryKeyValue: Bool
        public let output: Bool
        public let mlp: Bool
    }

    public let family: Family
    /// Width of the residual stream.
    public let hiddenSize: Int
    /// Width of the embedding table and the head; where it is not ``hiddenSize``, projections stand between.
    public let embeddingSize: Int
    /// Width of the MLP between its two products.
    public let intermediateSize: Int
    public let layerCount: Int
    public let headCount: Int
    /// Key-value heads; a divisor of ``headCount`` (grouped-query attention).
    public let keyValueHeadCount: Int
    /// Width of one head, independent of the hidden size.
    public let headSize: Int
    public let vocabularySize: Int
    /// Tokens of the longest sequence the model was made for.
    public let maximumContext: Int
    public let normEpsilon: Float
    /// Whether norms stand before attention and MLP; else behind what these are added to.
    public let normsBefore: Bool
    public let hasFinalNorm: Bool
    public let positions: Positions
    /// Of layers with a window, where these rotate otherwise.
    public let windowRotary: RotaryParameters?
    /// What embeddings are multiplied with.
    public let embeddingScale: Float
    /// What products of queries and keys are multiplied with.
    public let attentionScale: Float
    /// Products of queries and keys become `cap * tanh(product / cap)`, and logits; nil if they stay as they are.
    public let attentionCap: Float?
    public let logitCap: Float?
    public let activation: Activation
    public let biases: Biases
    /// The head is the embedding table.
    public let tiesHead: Bool
    public let beginningID: Int?
    /// Tokens that end a text.
    public let endIDs: [Int]
    private let rotatingLayers: [Bool]
    /// Of each layer, also where it hides nothing.
    let windows: [Int?]

    public var queryWidth: Int { headCount * headSize }
    public var keyValueWidth: Int { keyValueHeadCount * headSize }
    /// Whether ``embeddingSize`` is another width than the residual stream's.
    public var projectsEmbeddings: Bool { embeddingSize != hiddenSize }
    /// Rows of the table of learned positions; nil where there is none.
    public var positionTableRows: Int? {
        if case .learned(let offset) = positions { maximumContext + offset } else { nil }
    }
    /// nil where positions are learned.
    public var rotary: RotaryParameters? { if case .rotary(let parameters) = positions { parameters } else { nil } }
    /// Why there are no positions beyond ``maximumContext``; nil if there are.
    var positionLimit: String? {
        guard let rotary else { return "that were learned" }
        return rotary.endsAtContext ? "that do not change those before (rope_type dynamic)" : nil
    }
    /// The ways in which layers rotate; none where positions are learned.
    public var rotaries: [RotaryParameters] { [rotary, windowRotary].compactMap(\.self) }
    /// The place among ``rotaries`` of how a layer rotates queries and keys; nil if it does not.
    public func rotation(layer: Int) -> Int? {
        if !rotatingLayers[layer] { return nil }
        return windowRotary != nil && windows[layer] != nil ? 1 : 0
    }
    /// Whether a layer rotates queries and keys.
    public func rotates(layer: Int) -> Bool { rotatingLayers[layer] }
    /// How many of the last tokens a layer looks at, a token itself included; nil for all.
    public func window(layer: Int) -> Int? { windows[layer].flatMap { $0 < maximumContext ? $0 : nil } }

    private static let layerLimit = 1024
    private static let contextLimit = 1 << 24

    /// - Throws: `ModelError` naming the first entry that is missing, out of range, contradicts another or says
    ///   something that is not implemented.
    public init(_ json: JSON) throws(ModelError) {
        guard let type = json["model_type"]?.stringValue else {
            throw ModelError("model_type in config.json", expected: "a string", found: "no entry")
        }
        family = try Family.named(type)
        let reader = ConfigurationReader(json, family: family)
        let keys = family.keys
        let width = try reader.integer(keys.hiddenSize)
        hiddenSize = width
        if let key = keys.embeddingSize {
            embeddingSize = try reader.integer(key, default: width)
        } else {
            embeddingSize = width
        }
        intermediateSize = try reader.integer(
            keys.intermediateSize, default: family.defaultIntermediateRatio.map { $0 * width })
        layerCount = try reader.integer(keys.layerCount, limit: Self.layerLimit)
        headCount = try reader.integer(keys.headCount)
        let quotient = max(hiddenSize / headCount, 1)
        if family.hasKeyValueHeads {
            keyValueHeadCount = try reader.integer("num_key_value_heads", default: headCount)
            headSize = try reader.integer("head_dim", default: family.defaultHeadSize ?? quotient)
        } else {
            (keyValueHeadCount, headSize) = (headCount, quotient)
            try reader.require(
                keys.headCount, headCount * quotient == hiddenSize,
                expected: "a divisor of the width, \(hiddenSize)", found: "\(headCount)")
        }
        vocabularySize = try reader.integer("vocab_size", limit: 1 << 23)
        maximumContext = try reader.integer(keys.maximumContext, default: 2048, limit: Self.contextLimit)
        try reader.require(
            "num_key_value_heads", headCount % keyValueHeadCount == 0, expected: "a divisor of \(headCount) heads",
            found: "\(keyValueHeadCount)")
        try reader.require(
            "head_dim", headSize % 2 == 0 && headSize <= 4096, expected: "an even width", found: "\(headSize)")
        normEpsilon = try reader.normEpsilon(family)
        switch family.positions {
        case .rotary(let base):
            let rotary = try RotaryParameters.all(
                reader.json, family: family, defaultBase: base, context: maximumContext)
            try rotary.usual.check(headSize: headSize)
            try rotary.window?.check(headSize: headSize)
            positions = .rotary(rotary.usual)
            windowRotary = rotary.window
        case .learned(let offset):
            positions = .learned(offset: offset)
            windowRotary = nil
        }
        embeddingScale = family.scalesEmbeddings ? try reader.embeddingScale(width: width) : 1
        attentionScale = 1 / (try reader.number(family.keys.attentionScale) ?? Float(headSize)).squareRoot()
        attentionCap = try reader.number(family.keys.attentionCap)
        logitCap = try reader.number(family.keys.logitCap)
        rotatingLayers = try reader.rotatingLayers(family, layerCount: layerCount)
        windows = try reader.windows(family, layerCount: layerCount, rotating: rotatingLayers)
        normsBefore = try reader.flag(family.normsBefore)
        let omitsFinalNorm = try reader.flag(family.omitsFinalNorm)
        hasFinalNorm = normsBefore && !omitsFinalNorm
        activation = try reader.activation(family)
        biases = Biases(
            queryKeyValue: try reader.flag(family.queryKeyValueBias), output: try reader.flag(family.outputBias),
            mlp: try reader.flag(family.mlpBias))
        tiesHead = try reader.flag("tie_word_embeddings", default: family.tiesHeadByDefault)
        for (key, value) in family.required {
            let found = try reader.flag(key, default: value)
            try reader.require(key, found == value, expected: "\(value)", found: "\(found)")
        }
        beginningID = json["bos_token_id"]?.intValue
        let ends = json["eos_token_id"]
        endIDs = ends?.arrayValue?.compactMap(\.intValue) ?? [ends?.intValue].compactMap(\.self)
    }
}

extension ConfigurationReader {
    fileprivate func normEpsilon(_ family: Family) throws(ModelError) -> Float {
        guard let key = family.keys.normEpsilon else { return Float(family.defaultNormEpsilon) }
        let epsilon = json[key]?.doubleValue ?? family.defaultNormEpsilon
        try require(key, epsilon > 0 && epsilon < 1, expected: "between 0 and 1", found: "\(epsilon)")
        return Float(epsilon)
    }

    fileprivate func activation(_ family: Family) throws(ModelError) -> ModelConfiguration.Activation {
        let key = family.keys.activation
        let name = entry(key).map { $0.stringValue ?? $0.text() } ?? family.defaultActivation
        if family.gateProjection != nil {
            let isSilu = name == "silu"
            try require(
                key, isSilu || name == "gelu_pytorch_tanh", expected: "\"silu\" or \"gelu_pytorch_tanh\"",
                found: "\"\(name)\"")
            return isSilu ? .gatedSilu : .gatedGeluTanh
        }
        switch name {
        case "relu": return .relu
        case "gelu": return .gelu
        case "gelu_new", "gelu_fast", "gelu_pytorch_tanh": return .geluTanh
        default: throw error(key, expected: "\"relu\", \"gelu\" or \"gelu_new\"", found: "\"\(name)\"")
        }
    }
}

extension ConfigurationReader {
    /// The root of the width as a number of the type that weights have, which is what models were trained with.
    fileprivate func embeddingScale(width: Int) throws(ModelError) -> Float {
        let scale = Float(width).squareRoot()
        switch (entry("dtype") ?? entry("torch_dtype"))?.stringValue {
        case "float16": return Float(Float16(scale))
        case "bfloat16":
            // To nearest, ties to even: the upper half of the bits.
            let bits = scale.bitPattern
            return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
        default: return scale
        }
    }
}

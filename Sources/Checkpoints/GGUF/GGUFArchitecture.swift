import OrderedJSON

/// How GGUF files of one architecture map to Hugging Face's names: a row of the table ``all``.
struct GGUFArchitecture: Sendable {
    /// A metadata key behind the architecture's name, and the key of config.json that takes its value.
    struct Key: Sendable {
        enum Kind: Sendable {
            case size, number
            /// A size or number of which 0 says that there is none.
            case limit
        }

        let gguf: String
        let configuration: String
        let kind: Kind
        /// What holds where the file has no such key; nil where it must have one.
        let fallback: JSON?
    }

    /// Whose heads' rotary pairs ggml's converter interleaves in a module's rows.
    enum Heads: Sendable { case attention, keyValue }

    enum Windows: Sendable {
        case none, all
        case allButOneIn(Int)
    }

    /// Soft caps of logits, or also of products of queries and keys; the former alone may be left out.
    enum Caps: Sendable { case none, logits, both }

    /// Gemma's largest models, which llama.cpp knows by how many layers they have, divide by the root of the width for
    /// each head, whatever the head's own size.
    struct Scale: Sendable {
        let layersOfLargest: Int

        /// What products of queries and keys are divided by, squared.
        func divisor(layers: Int, width: Int, heads: Int, headSize: Int) -> Int {
            layers == layersOfLargest ? width / heads : headSize
        }
    }

    /// The value of `general.architecture`.
    let name: String
    /// The `model_type`s that are written so; a file is read as the first.
    let modelTypes: [String]
    /// What config.json says in any case.
    let constants: [(key: String, value: JSON)]
    let keys: [Key]
    /// GGUF's module names to those of Hugging Face's files, fused ones included; `*` stands for the layer's number.
    let modules: [String: String]
    /// The modules, by GGUF's names, whose rows are interleaved.
    var interleaved: [String: Heads] = [:]
    /// How llama.cpp's decoder stretches rotations; none where positions are learned.
    var scalings: Set<GGUFTraits.Scaling.Kind> = []
    /// Which layers look at a window of the last tokens, where a file says one.
    var windows = Windows.none
    /// By which base these rotate; nil if by that of all.
    var windowBase: Double?
    /// One layer in so many does not rotate; nil: all rotate.
    var rotationInterval: Int?
    /// What is added to Hugging Face's weights of norms in a file.
    var normOffset: Float = 0
    /// What attention divides by; nil where it is the root of a head's size.
    var scale: Scale?
    var caps = Caps.none
    /// Whether llama.cpp's decoder takes a head that is not the embedding table.
    var mayUntieHead = true
    /// Whether it adds biases.
    var hasBiases = true
    /// The MLP's activation, which is the architecture's own.
    let activation: String

    /// Whether queries and keys are rotated.
    var isRotary: Bool { !scalings.isEmpty }

    /// What is added to a tensor's elements in a file.
    /// - Parameter name: GGUF's.
    func offset(of name: String) -> Float { name.hasSuffix("_norm.weight") ? normOffset : 0 }

    /// The key of what is added to variances, which is called by the kind of norm.
    var epsilonKey: String { keys.first { $0.gguf.hasSuffix("epsilon") }?.gguf ?? "attention.layer_norm_epsilon" }

    /// A tensor's module, with `*` for the layer's number, that number and what follows the module.
    struct TensorName: Equatable {
        let module: String
        let layer: Int?
        let suffix: String

        /// - Parameter name: GGUF's, such as `blk.3.attn_q.weight` or `output.weight`.
        init?(_ name: String) {
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            if parts.count == 4, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0, String(layer) == parts[1] {
                self.layer = layer
                module = "blk.*.\(parts[2])"
                suffix = String(parts[3])
            } else if parts.count == 2 {
                layer = nil
                module = String(parts[0])
                suffix = String(parts[1])
            } else {
                return nil
            }
        }
    }

    /// Hugging Face's name for the tensor that GGUF calls `name`; `name` itself where the table has none.
    func configurationName(of name: String) -> String {
        guard let tensor = TensorName(name), let module = modules[tensor.module] else { return name }
        let parts = module.split(separator: ".").map { $0 == "*" ? String(tensor.layer!) : String($0) }
        return parts.joined(separator: ".") + "." + tensor.suffix
    }
}

public import Sparse
public import Tensors

/// What the values of a packed matrix are stored as.
public enum PackedValues: Sendable, Equatable {
    /// f16 or bf16; f32 where positions are dense.
    case elements(ElementType)
    case integers(QuantizedCoding, ScaleGroup)

    /// The name in `config.json` and on the command line: "f16", "i8".
    public var name: String {
        switch self {
        case .elements(let type): type.rawValue
        case .integers(let coding, _): coding.rawValue
        }
    }

    /// How many columns share a scale; nil where there are none.
    public var group: ScaleGroup? {
        if case .integers(_, let group) = self { group } else { nil }
    }
}

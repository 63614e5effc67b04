/// What decides which instructions a product runs: where the stored values lie, and what they are.
public struct ProductKind: Sendable, Hashable {
    public let format: PackedFormat
    /// nil for 16-bit floats: f16 is measured and stands for bf16, which differs by one instruction.
    public let coding: QuantizedCoding?

    public init(format: PackedFormat, coding: QuantizedCoding? = nil) {
        precondition(coding == nil || format.holdsIntegers, "\(format.rawValue) holds no integers")
        self.format = format
        self.coding = coding
    }

    /// Every kind that a matrix can be packed as.
    public static let all: [ProductKind] =
        PackedFormat.allCases.map { ProductKind(format: $0) }
        + QuantizedCoding.allCases.flatMap { coding in
            PackedFormat.allCases.filter(\.holdsIntegers).map { ProductKind(format: $0, coding: coding) }
        }

    /// The name of the values on the command line: "f16", "i8".
    public var valuesName: String { coding?.rawValue ?? "f16" }
}

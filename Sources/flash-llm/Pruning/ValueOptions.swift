import ArgumentParser
import Sparse

/// What values the weights of a pruned model have.
struct ValueOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Values of weights: f16, or those that 'pack --values' of the same name and group keeps exactly. The other "
                + "weights make up for what one loses.", valueName: "f16|i8|i4"))
    var values = "f16"

    @Option(help: ArgumentHelp("Columns of a row that share a scale, for i8 and i4.", valueName: "32|64|128|row"))
    var group = ScaleGroup.columns128.rawValue

    var description: String { values == "f16" ? values : "\(values), group \(group)" }

    /// nil for values of 16 bits.
    func grid() throws(ValidationError) -> ValueGrid? {
        let group = try ScaleGroup.named(group)
        return try Self.coding(values).map { ValueGrid(coding: $0, group: group) }
    }

    /// What a person calls f16, i8 or i4; nil for values of 16 bits.
    static func coding(_ word: String) throws(ValidationError) -> QuantizedCoding? {
        try named(word, "kind of values", among: [("f16", nil), ("i8", .i8), ("i4", .i4)])
    }
}

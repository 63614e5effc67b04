import ArgumentParser
import Pruning
import Sparse

/// One way to make a model smaller, as a person writes it: `alps:0.5:i8`, `dense:i4` or `dense`.
struct ParetoVariant: Hashable, CustomStringConvertible {
    /// nil for the model as it is.
    let method: PruningMethod?
    let sparsity: Double
    /// nil for 16-bit floats.
    let coding: QuantizedCoding?

    private static let dense = "dense"

    /// What is compared if nobody says what: dense models of fewer bits are what zeros compete with.
    static let standard = [
        "dense", "dense:i8", "dense:i4", "sparsegpt:0.3", "sparsegpt:0.5", "sparsegpt:0.7", "sparsegpt:0.3:i8",
        "sparsegpt:0.5:i8", "sparsegpt:0.7:i8", "sparsegpt:0.5:i4", "sparsegpt:0.7:i4",
    ].joined(separator: ",")

    init(_ text: Substring) throws(ValidationError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let isDense = parts[0] == Self.dense
        let values = isDense ? 1 : 2
        guard (values...values + 1).contains(parts.count) else {
            throw ValidationError(
                "a variant is METHOD:SPARSITY, METHOD:SPARSITY:VALUES, dense or dense:VALUES, found '\(text)'")
        }
        let methods: [(String, PruningMethod?)] = PruningMethod.allCases.map { ($0.rawValue, $0) }
        method = try named(String(parts[0]), "pruning method", among: [(Self.dense, nil)] + methods)
        if isDense {
            sparsity = 0
        } else {
            guard let sparsity = Double(parts[1]), sparsity > 0, sparsity < 1 else {
                throw ValidationError("the sparsity of '\(text)' must be more than 0 and less than 1")
            }
            self.sparsity = sparsity
        }
        coding = try ValueOptions.coding(parts.count > values ? String(parts[values]) : "f16")
    }

    /// "sparsegpt:0.5:i8"; a name of a folder as well, with dashes for colons.
    var description: String {
        let start = method.map { "\($0.rawValue):\(sparsity)" } ?? Self.dense
        return coding.map { "\(start):\($0.rawValue)" } ?? start
    }

    var folderName: String { description.replacing(":", with: "-") }

    /// Those that a line joins: "sparsegpt, i8".
    var family: String { "\(method?.rawValue ?? Self.dense), \(coding?.rawValue ?? "f16")" }
}

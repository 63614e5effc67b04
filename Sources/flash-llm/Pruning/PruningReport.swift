import OrderedJSON
import Pruning

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// All that is known of a pruning: `report.json` for machines and `report.html` for people, beside the model.
struct PruningReport {
    let model: String
    /// What was asked for, as people read it.
    let settings: [(name: String, value: String)]
    let result: ModelPruner.Report
    /// nil if it was not looked at.
    let quality: QualityComparison?
    let seconds: Double

    static let names = ["report.json", "report.html"]

    var json: JSON {
        [
            "model": .string(model),
            "settings": .object(.init(uniqueKeysWithValues: settings.map { ($0.name, JSON.string($0.value)) })),
            "sparsity": .number(result.sparsity),
            "seconds": .number(seconds),
            "matrices": .array(result.matrices.map(\.json)),
            "recovery": result.recovery?.json ?? .null,
            "quality": quality?.json ?? .null,
        ]
    }

    /// - Throws: if the folder cannot be written to.
    func write(to folder: String) throws {
        for (name, text) in zip(Self.names, [json.text() + "\n", html]) {
            try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)"), options: .atomic)
        }
    }
}

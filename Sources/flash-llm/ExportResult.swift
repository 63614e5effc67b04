import Checkpoints
import OrderedJSON
import Terminal

/// What exporting a model has come to.
struct ExportResult {
    let path: String
    let format: String
    /// As it was asked for; nil for the types that weights had.
    let type: String?
    let tensorCount: Int
    let parameterCount: Int
    /// Bytes of the whole folder, or of the file.
    let byteCount: Int
    /// nil if the format stores zeros.
    let sparse: ModelExporter.Report?
    var seconds = 0.0

    private func sparsity(_ sparse: ModelExporter.Report) -> Double {
        1 - Double(sparse.nonzeroCount) / Double(max(sparse.sparseElementCount, 1))
    }

    var text: String {
        var text = "\(format), \(tensorCount) tensors, \(Format.count(parameterCount)) parameters\n"
        if let sparse, sparse.sparseMatrixCount > 0 {
            text +=
                "\(sparse.sparseMatrixCount) matrices without their zeros, which are "
                + "\(Format.percentage(sparsity(sparse))) of them\n"
        } else if sparse != nil {
            text += "no matrix has zeros enough to become smaller, so all are dense ('flash-llm prune' makes zeros)\n"
        }
        return text
            + "wrote \(Format.bytes(byteCount)) in \(Format.duration(seconds: seconds)): \(path.printable)\n"
    }

    var json: JSON {
        [
            "path": .string(path), "format": .string(format), "type": type.map(JSON.string) ?? .null,
            "tensors": .integer(tensorCount), "parameters": .integer(parameterCount),
            "sparse": sparse.map {
                [
                    "matrices": .integer($0.sparseMatrixCount), "elements": .integer($0.sparseElementCount),
                    "nonzeros": .integer($0.nonzeroCount), "sparsity": .number(sparsity($0)),
                ]
            } ?? .null,
            "bytes": .integer(byteCount), "seconds": .number(seconds),
        ]
    }
}

import Checkpoints
import LinearAlgebra
import OrderedJSON
import Tensors

/// A layer's pruned matrices as they are stored, with what became of them.
struct PrunedLayer {
    struct Entry {
        let report: MatrixReport
        let type: WeightType
        let shape: [Int]
        let bytes: Storage<UInt8>
    }

    var entries: [Entry] = []

    func entry(_ name: String) -> Entry? { entries.first { $0.report.name == name } }

    /// Writes the layer to a file that appears only when it is whole.
    func write(to path: String, fingerprint: String) throws(CheckpointError) {
        let reports = JSON.array(entries.map(\.report.json)).text()
        let writer = try SafetensorsWriter(
            path: path, names: entries.map(\.report.name), metadata: ["fingerprint": fingerprint, "reports": reports])
        for entry in entries {
            try writer.append(
                entry.report.name, type: entry.type.elementType, shape: entry.shape,
                bytes: UnsafeRawBufferPointer(entry.bytes.buffer))
        }
        try writer.finish()
    }

    /// Reads what ``write(to:fingerprint:)`` wrote; nil if the file is of another run.
    /// - Throws: `CheckpointError` if the file cannot be read or is damaged.
    init?(path: String, fingerprint: String, names: [String]) throws(CheckpointError) {
        let file = try SafetensorsFile(path: path)
        guard file.metadata["fingerprint"] == fingerprint else { return nil }
        let reports = (try? JSON(parsing: Array((file.metadata["reports"] ?? "").utf8)))?.arrayValue ?? []
        for (name, entry) in zip(names, reports) {
            guard let report = MatrixReport(entry), report.name == name, let tensor = file.tensors[name],
                let type = tensor.encoding.elementType.flatMap({ WeightType(rawValue: $0.rawValue) })
            else {
                throw CheckpointError(
                    .damaged, path: path, subject: "matrix \"\(name)\"", expected: "it, and a report of it",
                    found: "something else")
            }
            entries.append(Entry(report: report, type: type, shape: tensor.shape, bytes: file.bytes(of: tensor)))
        }
        guard entries.count == names.count else { return nil }
    }

    init() {}
}

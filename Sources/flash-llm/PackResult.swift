import Checkpoints
import OrderedCollections
import OrderedJSON
import Sparse
import Terminal

/// What packing a model has come to.
struct PackResult {
    let requestedFormat: String
    let choice: FormatChoice
    let path: String
    let reports: [ModelPacker.Report]
    /// Bytes of the whole folder.
    let folderByteCount: Int
    let seconds: Double

    /// Several matrices together.
    private struct Sum {
        let matrixCount: Int
        let elementCount: Int
        let nonzeroCount: Int
        let denseByteCount: Int
        let packedByteCount: Int

        init(_ reports: [ModelPacker.Report]) {
            matrixCount = reports.count
            elementCount = reports.reduce(0) { $0 + $1.rows * $1.columns }
            nonzeroCount = reports.reduce(0) { $0 + $1.nonzeroCount }
            denseByteCount = reports.reduce(0) { $0 + $1.denseByteCount }
            packedByteCount = reports.reduce(0) { $0 + $1.packedByteCount }
        }

        var sparsity: Double { 1 - Double(nonzeroCount) / Double(max(elementCount, 1)) }

        func cells(_ name: String, _ values: String) -> [String] {
            [
                name, values, "\(matrixCount)", Format.percentage(sparsity), Format.bytes(denseByteCount),
                Format.bytes(packedByteCount),
                Format.percentage(Double(packedByteCount) / Double(max(denseByteCount, 1))),
            ]
        }

        var members: JSON {
            [
                "matrices": .integer(matrixCount), "elements": .integer(elementCount),
                "nonzeros": .integer(nonzeroCount), "sparsity": .number(sparsity),
                "dense_bytes": .integer(denseByteCount), "packed_bytes": .integer(packedByteCount),
            ]
        }
    }

    /// What chose the formats, if it was a cost model.
    private var costs: CostModel? { if case .fastest(let costs) = choice { costs } else { nil } }

    /// A format with the values in it, as far as they were used, in the order of the formats' declaration.
    private var kinds: [(format: PackedFormat, values: String, sum: Sum)] {
        PackedFormat.allCases.flatMap { format in
            let kinds = OrderedDictionary(grouping: reports.filter { $0.format == format }, by: \.values.label)
            return kinds.map { (format, $0.key, Sum($0.value)) }
        }
    }

    /// The formats that were used, in their order of declaration.
    private var formats: [(format: PackedFormat, sum: Sum)] {
        PackedFormat.allCases.compactMap { format in
            let reports = reports.filter { $0.format == format }
            return reports.isEmpty ? nil : (format, Sum(reports))
        }
    }

    func text(for traits: OutputTraits) -> String {
        var table = Table([
            .text("format"), .text("values"), .number("matrices"), .number("sparsity"), .number("dense"),
            .number("packed"), .number("of dense"),
        ])
        let kinds = kinds
        for (format, values, sum) in kinds { table.append(sum.cells(format.rawValue, values)) }
        if kinds.count > 1 {
            table.appendRule()
            table.append(Sum(reports).cells("all", ""))
        }
        var text = table.text(for: traits)
        if requestedFormat != PackedFormat.dense.rawValue, formats.map(\.format) == [.dense],
            reports.allSatisfy({ $0.values.group == nil })
        {
            text +=
                "no matrix is sparse enough to become \(costs == nil ? "smaller" : "faster"), so all stay dense "
                + "('flash-llm prune' makes zeros)\n"
        }
        if let costs { text += costs.summary + "\n" }
        return text
            + "wrote \(Format.bytes(folderByteCount)) in \(Format.duration(seconds: seconds)): \(path.printable)\n"
    }

    var json: JSON {
        [
            "path": .string(path),
            "requested_format": .string(requestedFormat),
            "profile": costs?.json ?? .null,
            "formats": .object(.init(uniqueKeysWithValues: formats.map { ($0.format.rawValue, $0.sum.members) })),
            "totals": Sum(reports).members,
            "matrices": .array(
                reports.map { report in
                    [
                        "name": .string(report.name), "format": .string(report.format.rawValue),
                        "values": .string(report.values.name),
                        "group": report.values.group.map { .string($0.rawValue) } ?? .null,
                        "rows": .integer(report.rows), "columns": .integer(report.columns),
                        "nonzeros": .integer(report.nonzeroCount), "dense_bytes": .integer(report.denseByteCount),
                        "packed_bytes": .integer(report.packedByteCount),
                        "choice": report.decision?.reason?.json ?? .null,
                        "candidates": report.decision?.json ?? .null,
                    ]
                }),
            "bytes": .integer(folderByteCount),
            "seconds": .number(seconds),
        ]
    }
}

extension PackedValues {
    /// For people: "f16", "i8 by 128", "i4 by row".
    var label: String { group.map { "\(name) by \($0.rawValue)" } ?? name }
}

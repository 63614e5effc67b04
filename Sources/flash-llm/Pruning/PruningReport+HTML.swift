import Charts
import Pruning
import Terminal

/// The report as one page that needs nothing else: charts are inline pictures.
extension PruningReport {
    var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\("Pruning \(model)".escapedForXML)</title>
        <style>
        body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
               color: #1f2328; background: #f6f6f3; }
        table { border-collapse: collapse; margin: 1rem 0; }
        td, th { padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top;
                 border-bottom: 1px solid #dcdcd8; }
        blockquote { margin: 0; white-space: pre-wrap; }
        svg { max-width: 100%; height: auto; }
        </style>
        </head>
        <body>
        <h1>\("Pruning \(model)".escapedForXML)</h1>
        \(table(settings + outcome))
        \(qualityHTML)
        \(figure.svg())
        </body>
        </html>

        """
    }

    private var outcome: [(name: String, value: String)] {
        var rows = [
            (
                name: "zeros",
                value: "\(Format.count(result.zeroCount)) of \(Format.count(result.elementCount)) weights, "
                    + Format.percentage(result.sparsity)
            ),
            (name: "time", value: Format.duration(seconds: seconds)),
        ]
        if let recovery = result.recovery { rows.append(("recovery", recovery.summary)) }
        return rows
    }

    private func table(_ rows: [(name: String, value: String)]) -> String {
        let lines = rows.map { "<tr><th>\($0.name.escapedForXML)</th><td>\($0.value.escapedForXML)</td></tr>" }
        return "<table>\n\(lines.joined(separator: "\n"))\n</table>"
    }

    private var qualityHTML: String {
        guard let quality else { return "" }
        func row(_ name: String, _ quality: QualityComparison.Quality) -> String {
            let lines = quality.answer.split(separator: "\n", omittingEmptySubsequences: false)
            let answer = lines.map { String($0).escapedForXML }.joined(separator: "\n")
            return "<tr><th>\(name)</th><td>\(Format.fixed(quality.perplexity, decimals: 2))</td>"
                + "<td><blockquote>\(answer)</blockquote></td></tr>"
        }
        return """
            <table>
            <tr><th></th><th>perplexity</th><th>\(quality.question.escapedForXML)</th></tr>
            \(row("before", quality.before))
            \(row("after", quality.after))
            </table>
            """
    }
}

/// What became of every layer.
extension PruningReport {
    /// Matrices of one kind, one a layer, by the names of the kinds.
    private var kinds: [(name: String, reports: [MatrixReport])] {
        Dictionary(grouping: result.matrices) { report in
            let parts = report.name.split(separator: ".")
            return String(parts.dropLast().last ?? parts[0])
        }.sorted { $0.key < $1.key }.map { (name: $0.key, reports: $0.value) }
    }

    private var figure: Figure {
        var charts = [
            chart("zeros", unit: "%", upTo: 100) { 100 * Double($0.zeroCount) / Double(max($0.elementCount, 1)) },
            chart("packed", unit: "MB") { Self.packedBytes($0) / 1e6 },
            chart("time", unit: "seconds") { $0.seconds },
        ]
        if result.matrices.contains(where: { $0.error != nil }) {
            charts.insert(chart("error", unit: "% of the output's square") { $0.error.map { 100 * $0 } }, at: 1)
        }
        var rows = [Figure.Row(heading: "Every layer's matrices", charts: charts)]
        if let recovery = result.recovery, !recovery.losses.isEmpty {
            rows.append(Figure.Row(heading: "Recovery", charts: [Self.course(recovery)]))
        }
        return Figure(
            title: "What became of every layer", subtitle: "\(result.matrices.count) matrices", rows: rows,
            notes: ["Packed: as a bitmap with 16-bit values; 'flash-llm pack' chooses a format for each matrix."])
    }

    /// A bit for every weight, 16 for every one that is not zero.
    private static func packedBytes(_ report: MatrixReport) -> Double {
        Double(report.elementCount) / 8 + 2 * Double(report.elementCount - report.zeroCount)
    }

    private func chart(
        _ title: String, unit: String, upTo largest: Double = 0, _ value: (MatrixReport) -> Double?
    ) -> Chart {
        let markers = SeriesStyle.Marker.allCases
        let series = kinds.enumerated().map { index, kind in
            Series(
                kind.name,
                style: SeriesStyle(
                    colour: SeriesStyle.palette[index % SeriesStyle.palette.count],
                    marker: markers[index % markers.count], lineWidth: 1.5),
                points: kind.reports.compactMap { report in
                    value(report).flatMap { $0.isFinite ? Series.Point(x: Self.layer(of: report), y: $0) : nil }
                }.sorted { $0.x < $1.x })
        }
        let points = series.flatMap(\.points)
        return Chart(
            title: title, x: Axis("layer", .linear, showing: points.map(\.x)),
            y: Axis(unit, .linear, showing: points.map(\.y) + [0, largest], startsAtZero: true), series: series)
    }

    /// The number in a matrix's name.
    private static func layer(of report: MatrixReport) -> Double {
        report.name.split(separator: ".").lazy.compactMap { Double($0) }.first ?? 0
    }

    private static func course(_ recovery: RecoveryReport) -> Chart {
        let points = recovery.losses.enumerated().map { Series.Point(x: Double($0 + 1), y: $1) }.filter(\.y.isFinite)
        return Chart(
            title: "divergence", x: Axis("step", .linear, showing: points.map(\.x)),
            y: Axis("nats a token", .linear, showing: points.map(\.y), startsAtZero: true),
            series: [
                Series(
                    "divergence", style: SeriesStyle(colour: SeriesStyle.palette[0], marker: .none), points: points,
                    isInLegend: false)
            ])
    }
}

import Charts
import Engine
import Terminal

/// Speed-ups and rooflines, a chart for every number of tokens. Where several shapes were measured, a point is their
/// geometric mean; of several numbers of threads the largest is drawn. More formats than a picture can show are left to
/// the tables: first those that are measured only if asked for.
extension ProductResults {
    var figure: Figure {
        let threads = measurements.map(\.threads).max() ?? 1
        let drawn = measurements.filter { $0.threads == threads && !omittedFormats.contains($0.format) }
        let tokenCounts = Set(drawn.map(\.tokens)).sorted()
        var shapes: [String] = []
        for measurement in drawn where !shapes.contains(measurement.shape.description) {
            shapes.append(measurement.shape.description)
        }
        let listed = shapes.count <= 4 ? shapes.joined(separator: ", ") : "\(shapes.count) shapes"
        let points = tokenCounts.map { tokens in
            (tokens: tokens, points: self.points(drawn.filter { $0.tokens == tokens }))
        }
        let bandwidth = Spread(drawn.flatMap(\.bandwidth.samples)).median
        var notes = [
            "Above: median of \(rounds) rounds measured in turns, each against dense f16 in the same round"
                + (shapes.count > 1 ? "; geometric mean of the shapes." : "; bars are quartiles."),
            "Below: the sloped line is what memory allows, \(Format.rate(bytesPerSecond: bandwidth)) measured in the "
                + "same rounds; a dashed line is what the instructions allow:",
            "the same kernel on weights that lie in the second-level cache. Further right means fewer bytes for each "
                + "weight, zeros included.",
        ]
        if !omittedFormats.isEmpty { notes.append("Not drawn: \(omittedFormats.joined(separator: ", ")).") }
        if let processor = Machine.processorName { notes.append("Processor: \(processor).") }
        return Figure(
            title: "Products with sparse weights",
            subtitle: "\(listed) · \(threads) thread\(threads == 1 ? "" : "s") · \(instructionSet) kernels · "
                + "weights far beyond the caches",
            rows: [
                Figure.Row(
                    heading: "Speed, as a multiple of dense f16",
                    charts: points.map { speedUpChart(tokens: $0.tokens, $0.points, all: points.flatMap(\.points)) }),
                Figure.Row(
                    heading: "Roofline: what memory and instructions allow, and what is reached",
                    charts: points.map {
                        rooflineChart(
                            tokens: $0.tokens, $0.points, all: points.flatMap(\.points), bandwidth: bandwidth)
                    }),
            ],
            notes: notes)
    }

    /// What is measured only if asked for, where there are more formats than eight, which a picture can show.
    private var omittedFormats: [String] {
        let measured = ProductCandidate.all.filter { candidate in
            measurements.contains { $0.format == candidate.name }
        }
        return measured.count <= 8 ? [] : measured.filter { !$0.isStandard }.map(\.name)
    }

    /// A format at one sparsity, all shapes together.
    private struct Point {
        let format: String
        let isDense: Bool
        let sparsity: Double
        let bytesPerWeight: Double
        let speed: Double
        let residentSpeed: Double
        /// To dense f16; nil for dense f16 itself.
        let ratio: Double?
        /// Quartiles of the ratio, where only one shape was measured.
        let spread: ClosedRange<Double>?
    }

    private func points(_ measurements: [ProductMeasurement]) -> [Point] {
        var keys: [(format: String, sparsity: Double)] = []
        for measurement in measurements
        where !keys.contains(where: { $0 == (measurement.format, measurement.sparsity) }) {
            keys.append((measurement.format, measurement.sparsity))
        }
        return keys.map { key in
            let same = measurements.filter { $0.format == key.format && $0.sparsity == key.sparsity }
            let ratios = same.compactMap { ratio($0, to: ProductCandidate.baseline) }
            return Point(
                format: key.format, isDense: same[0].isDense, sparsity: key.sparsity,
                bytesPerWeight: geometricMean(same.map(\.bytesPerWeight)),
                speed: geometricMean(same.map(\.weightsPerSecond.median)),
                residentSpeed: geometricMean(same.map(\.residentWeightsPerSecond.median)),
                ratio: ratios.isEmpty ? nil : geometricMean(ratios.map(\.median)),
                spread: ratios.count == 1 ? ratios[0].lowerQuartile...ratios[0].upperQuartile : nil)
        }
    }

    private var styles: FormatStyles { FormatStyles(ProductCandidate.all.map { ($0.name, $0.isDense) }) }

    private func formats(_ points: [Point]) -> [String] {
        ProductCandidate.all.map(\.name).filter { name in points.contains { $0.format == name } }
    }

    private func speedUpChart(tokens: Int, _ points: [Point], all: [Point]) -> Chart {
        let sparsities = Set(all.map(\.sparsity)).sorted()
        let x = Axis(
            "zeros", .linear, showing: sparsities,
            ticks: Axis.thinned(
                sparsities.map { Axis.Tick($0, Format.percentage($0, decimals: 0)) }, limit: 6))
        let reached = all.flatMap { [$0.ratio, $0.spread?.upperBound].compactMap(\.self) }
        let y = Axis("times dense f16", .linear, showing: [1] + reached, startsAtZero: true, suffix: "×")
        let baseline = ProductCandidate.baseline
        var style = styles.style(baseline)
        style.lineWidth = 1.6
        var series = [
            Series(
                baseline, style: style,
                points: points.filter { $0.format == baseline }.map { Series.Point(x: $0.sparsity, y: 1) })
        ]
        for format in formats(points) where format != baseline {
            let line = points.filter { $0.format == format }
            series.append(
                Series(
                    format, style: styles.style(format),
                    points: line.compactMap { point in
                        point.ratio.map { ratio in
                            Series.Point(
                                x: point.sparsity, y: ratio, spread: point.spread,
                                label: point.sparsity == line.last?.sparsity && !point.isDense
                                    ? Format.fixed(ratio, decimals: 1) + "×" : nil)
                        }
                    }))
        }
        return Chart(title: title(tokens), x: x, y: y, series: series)
    }

    private func rooflineChart(tokens: Int, _ points: [Point], all: [Point], bandwidth: Double) -> Chart {
        let x = Axis("weights per byte", .logarithmic, showing: all.map { 1 / $0.bytesPerWeight })
        let speeds = all.flatMap { [$0.speed / 1e9, $0.residentSpeed / 1e9] }
        let y = Axis("Gweights/s", .logarithmic, showing: speeds)
        let memory = SeriesStyle(colour: "#8b919a", marker: .none, lineWidth: 3)
        let ends = [x.domain.lowerBound, x.domain.upperBound]
        var series = [
            Series(
                "memory allows", style: memory, points: ends.map { Series.Point(x: $0, y: $0 * bandwidth / 1e9) }),
            Series(
                "instructions allow", style: SeriesStyle(colour: "#8b919a", marker: .none, isDashed: true), points: []),
        ]
        for format in formats(points) {
            let style = styles.style(format)
            var line = points.filter { $0.format == format }
            // Of many formats only the ends are labelled.
            let hasRoom = line.count <= 3 && formats(points).count <= 4
            let named = hasRoom ? line.map(\.sparsity) : [line[0].sparsity, line[line.count - 1].sparsity]
            if line[0].isDense { line = [mean(line)] }
            var ceiling = style
            ceiling.marker = .none
            ceiling.isDashed = true
            ceiling.lineWidth = 1.5
            // Drawn a little beyond the outermost points, so that a single one has a ceiling, too.
            let limits =
                [(1 / line[0].bytesPerWeight / 1.06, line[0])] + line.map { (1 / $0.bytesPerWeight, $0) }
                + [(1 / line[line.count - 1].bytesPerWeight * 1.06, line[line.count - 1])]
            series.append(
                Series(
                    format + " ceiling", style: ceiling,
                    points: limits.map { Series.Point(x: $0.0, y: $0.1.residentSpeed / 1e9) }, isInLegend: false))
            series.append(
                Series(
                    format, style: style,
                    points: line.map { point in
                        Series.Point(
                            x: 1 / point.bytesPerWeight, y: point.speed / 1e9,
                            label: point.isDense || !named.contains(point.sparsity)
                                ? nil : Format.percentage(point.sparsity, decimals: 0))
                    }))
        }
        return Chart(title: title(tokens), x: x, y: y, series: series)
    }

    /// A dense format is the same at every sparsity.
    private func mean(_ points: [Point]) -> Point {
        Point(
            format: points[0].format, isDense: true, sparsity: 0, bytesPerWeight: points[0].bytesPerWeight,
            speed: geometricMean(points.map(\.speed)), residentSpeed: geometricMean(points.map(\.residentSpeed)),
            ratio: nil, spread: nil)
    }

    private func title(_ tokens: Int) -> String { tokens == 1 ? "1 token" : "\(tokens) tokens" }
}

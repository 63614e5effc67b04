import Charts
import Engine
import Terminal

extension BenchmarkResults {
    var csv: CommaSeparatedValues {
        var values = CommaSeparatedValues([
            "model", "threads", "what", "sequences", "prompt_tokens", "tokens_per_second", "lower_quartile",
            "upper_quartile", "ratio", "weights_bytes", "share_of_bandwidth", "depth", "share_of_attention",
        ])
        for measurement in measurements {
            let speed = measurement.tokensPerSecond
            let kind: [String] =
                switch measurement.setting.kind {
                case .decode(let batch, _): ["decode", "\(batch)", ""]
                case .prompt(let tokens): ["prompt", "1", "\(tokens)"]
                }
            let depth = if case .decode(_, let depth) = measurement.setting.kind { "\(depth)" } else { "" }
            let attention = attentionShare(measurement).map { "\($0.median)" } ?? ""
            let share = measurement.bytesPerStep == nil ? "" : "\(measurement.bandwidthShare.median)"
            values.append(
                [measurement.name, "\(measurement.setting.threads)"] + kind
                    + [speed.median, speed.lowerQuartile, speed.upperQuartile, ratio(measurement) ?? 1].map { "\($0)" }
                    + ["\(measurement.weightBytes)", share, depth, attention])
        }
        return values
    }

    /// Decoding against the number of sequences, and against the tokens in the cache where several were measured;
    /// prompts as a line of text.
    var figure: Figure {
        let threadCounts = Set(measurements.map(\.setting.threads)).sorted()
        let names = modelNames
        var rows: [Figure.Row] = []
        // Of long contexts and nothing else there would be one point.
        if batches.count > 1 || depths.count < 2 {
            rows.append(
                Figure.Row(
                    heading: "Decoding: tokens a second, all sequences together",
                    charts: threadCounts.map { chart(threads: $0, title: Self.title($0), isRatio: false) }))
            if names.count > 1 {
                rows.append(
                    Figure.Row(
                        heading: "Decoding: speed as a multiple of \(names[0].printable)",
                        charts: threadCounts.map { chart(threads: $0, title: Self.title($0), isRatio: true) }))
            }
        }
        if depths.count > 1 {
            rows.append(
                Figure.Row(
                    heading: "Decoding a long context: tokens a second of one step",
                    charts: threadCounts.map { contextChart(threads: $0, title: Self.title($0)) }))
        }
        var notes = ["Medians of rounds measured in turns; bars are quartiles."] + promptNotes
        if let processor = Machine.processorName { notes.append("Processor: \(processor).") }
        return Figure(
            title: names.count == 1 ? "\(names[0].printable): speed" : "Speed of \(names.count) models",
            subtitle: "\(instructionSet) kernels · memory read at "
                + bandwidth.sorted { $0.key < $1.key }.map { threads, spread in
                    "\(Format.rate(bytesPerSecond: spread.median)) by \(Self.title(threads))"
                }.joined(separator: ", "),
            rows: rows, notes: notes)
    }

    /// In the order of the command line.
    private var modelNames: [String] {
        Set(measurements.map(\.setting.model)).sorted().compactMap { model in
            measurements.first { $0.setting.model == model }?.name
        }
    }

    /// Numbers of sequences that were decoded together.
    private var batches: Set<Int> {
        Set(
            measurements.compactMap { measurement in
                if case .decode(let batch, _) = measurement.setting.kind { batch } else { nil }
            })
    }

    private static func title(_ threads: Int) -> String { "\(threads) thread\(threads == 1 ? "" : "s")" }

    private func chart(threads: Int, title: String, isRatio: Bool) -> Chart {
        let styles = FormatStyles(modelNames.enumerated().map { ("\($0.offset)", $0.offset == 0) })
        var values: [Double] = []
        var series: [Series] = []
        for (model, name) in modelNames.enumerated() {
            let points = measurements.compactMap { measurement -> Series.Point? in
                guard measurement.setting.model == model, measurement.setting.threads == threads,
                    case .decode(let batch, let depth) = measurement.setting.kind, depth == depths.first
                else { return nil }
                let speed = measurement.tokensPerSecond
                let y = isRatio ? ratio(measurement) ?? 1 : speed.median
                let spread = isRatio ? nil : speed.lowerQuartile...speed.upperQuartile
                values += [y] + (spread.map { [$0.upperBound] } ?? [])
                return Series.Point(
                    x: Double(batch), y: y, spread: spread,
                    label: isRatio ? (model == 0 ? nil : Format.fixed(y, decimals: 2) + "×") : nil)
            }.sorted { $0.x < $1.x }
            series.append(Series(name.printable, style: styles.style("\(model)"), points: points))
        }
        let ticks = batches.sorted().map { Axis.Tick(Double($0), "\($0)") }
        return Chart(
            title: title,
            x: Axis(
                "sequences decoded together", .logarithmic, showing: ticks.map(\.value),
                ticks: Axis.thinned(ticks, limit: 7)),
            y: Axis(
                isRatio ? "times" : "tokens/s", .linear, showing: values, startsAtZero: true,
                suffix: isRatio ? "×" : ""),
            series: series)
    }

    /// Of the fewest sequences that were decoded together.
    private func contextChart(threads: Int, title: String) -> Chart {
        let styles = FormatStyles(modelNames.enumerated().map { ("\($0.offset)", $0.offset == 0) })
        let fewest = batches.min()
        var values: [Double] = []
        let series = modelNames.enumerated().map { model, name in
            let points = measurements.compactMap { measurement -> Series.Point? in
                guard measurement.setting.model == model, measurement.setting.threads == threads,
                    case .decode(let batch, let depth) = measurement.setting.kind, batch == fewest
                else { return nil }
                let speed = measurement.tokensPerSecond
                values += [speed.median, speed.upperQuartile]
                return Series.Point(
                    x: Double(depth), y: speed.median, spread: speed.lowerQuartile...speed.upperQuartile)
            }.sorted { $0.x < $1.x }
            return Series(name.printable, style: styles.style("\(model)"), points: points)
        }
        let ticks = depths.map { Axis.Tick(Double($0), "\($0)") }
        return Chart(
            title: title,
            x: Axis(
                "tokens in the cache", .logarithmic, showing: ticks.map(\.value),
                ticks: Axis.thinned(ticks, limit: 5)),
            y: Axis("tokens/s", .linear, showing: values, startsAtZero: true), series: series)
    }

    private var promptNotes: [String] {
        measurements.compactMap { measurement in
            guard case .prompt(let tokens) = measurement.setting.kind else { return nil }
            let times = ratio(measurement).map { ", \(Format.fixed($0, decimals: 2))×" } ?? ""
            return "Prompt of \(tokens) tokens, \(Self.title(measurement.setting.threads)), "
                + "\(measurement.name.printable): \(Format.fixed(measurement.tokensPerSecond.median, decimals: 0)) "
                + "tokens/s\(times)."
        }
    }
}

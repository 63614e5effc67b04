import Charts
import Engine
import OrderedJSON
import Terminal

/// What became of a model in several ways: quality, size and speed.
struct ParetoResults {
    struct Point {
        let variant: ParetoVariant
        /// Share of zeros among the decoder's weights.
        let sparsity: Double
        /// Bits of each of the decoder's weights, packed.
        let bitsPerWeight: Double
        /// Of everything that is loaded, embeddings included.
        let byteCount: Int
        let perplexity: Double
        /// Tokens a second of one sequence.
        let speed: Spread
        /// To the dense model's in the same rounds.
        let speedUp: Double
    }

    let model: String
    let text: String
    let points: [Point]

    /// Whether nothing else is both as good and as small, and whether nothing else is as good and as fast.
    func isBest(_ point: Point) -> (bySize: Bool, bySpeed: Bool) {
        func beats(_ other: Point, _ isAhead: (Point) -> Bool) -> Bool {
            other.variant != point.variant && other.perplexity <= point.perplexity && isAhead(other)
        }
        return (
            !points.contains { beats($0) { $0.byteCount <= point.byteCount } },
            !points.contains { beats($0) { $0.speedUp >= point.speedUp } }
        )
    }

    func table(for traits: OutputTraits) -> String {
        var table = Table([
            .text("model"), .number("zeros"), .number("bits/weight"), .number("bytes"), .number("tokens/s"),
            .number("speed"), .number("perplexity"), .text("best by"),
        ])
        for point in points {
            let best = isBest(point)
            table.append([
                point.variant.description, Format.percentage(point.sparsity, decimals: 0),
                Format.fixed(point.bitsPerWeight, decimals: 2), Format.bytes(point.byteCount),
                Format.fixed(point.speed.median, decimals: 1), Format.fixed(point.speedUp, decimals: 2) + "x",
                Format.fixed(point.perplexity, decimals: 2),
                [best.bySize ? "size" : nil, best.bySpeed ? "speed" : nil].compactMap(\.self).joined(separator: ", "),
            ])
        }
        return table.text(for: traits)
    }

    var json: JSON {
        [
            "model": .string(model), "text": .string(text),
            "points": .array(
                points.map { point in
                    let best = isBest(point)
                    return [
                        "variant": .string(point.variant.description), "sparsity": .number(point.sparsity),
                        "bits_per_weight": .number(point.bitsPerWeight), "bytes": .integer(point.byteCount),
                        "tokens_per_second": .number(point.speed.median), "speed": .number(point.speedUp),
                        "perplexity": .number(point.perplexity), "best_by_size": .bool(best.bySize),
                        "best_by_speed": .bool(best.bySpeed),
                    ]
                }),
        ]
    }

    var csv: CommaSeparatedValues {
        var lines = CommaSeparatedValues([
            "variant", "sparsity", "bits_per_weight", "bytes", "tokens_per_second", "speed", "perplexity",
        ])
        for point in points {
            lines.append([
                point.variant.description, "\(point.sparsity)", "\(point.bitsPerWeight)", "\(point.byteCount)",
                "\(point.speed.median)", "\(point.speedUp)", "\(point.perplexity)",
            ])
        }
        return lines
    }
}

/// Quality against size and against speed: further down is better, and so is further left or further right.
extension ParetoResults {
    var figure: Figure {
        Figure(
            title: "What zeros and bits cost: \(model)",
            subtitle: "perplexity on \(text.split(separator: "/").last ?? "") · one sequence",
            rows: [
                Figure.Row(
                    heading: "Lower is better",
                    charts: [
                        chart("size", "MB of weights", .logarithmic) { Double($0.byteCount) / 1e6 },
                        chart("speed", "times dense f16", .linear) { $0.speedUp },
                    ])
            ],
            notes: Machine.processorName.map { ["Processor: \($0)."] } ?? [])
    }

    private func chart(_ title: String, _ label: String, _ scale: Axis.Scale, _ x: (Point) -> Double) -> Chart {
        var families: [String] = []
        for point in points where !families.contains(point.variant.family) { families.append(point.variant.family) }
        let styles = FormatStyles(families.map { ($0, $0.hasPrefix("dense")) })
        return Chart(
            title: title, x: Axis(label, scale, showing: points.map(x)),
            y: Axis("perplexity", .linear, showing: points.map(\.perplexity)),
            series: families.map { family in
                let line = points.filter { $0.variant.family == family }.sorted { $0.sparsity < $1.sparsity }
                return Series(
                    family, style: styles.style(family),
                    points: line.map { point in
                        Series.Point(
                            x: x(point), y: point.perplexity,
                            label: point.variant.method == nil
                                ? nil : Format.percentage(point.variant.sparsity, decimals: 0))
                    })
            })
    }
}

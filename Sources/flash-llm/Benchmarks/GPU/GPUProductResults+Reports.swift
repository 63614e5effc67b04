import Charts
import Engine
import GPUBenchmark
import OrderedJSON
import Terminal

extension GPUProductResults {
    var csv: CommaSeparatedValues {
        var values = CommaSeparatedValues([
            "rows", "columns", "sparsity", "tokens", "product", "stored_bytes", "copies", "microseconds",
            "lower_quartile", "upper_quartile", "compressed_bytes_per_second", "bandwidth_bytes_per_second",
            "share_of_bandwidth", "ratio_to_\(baseline)", "error",
        ])
        for measurement in measurements {
            let seconds = measurement.seconds
            let numbers = [
                seconds.median * 1e6, seconds.lowerQuartile * 1e6, seconds.upperQuartile * 1e6,
                measurement.compressedBytesPerSecond.median, measurement.bandwidth.median,
                measurement.bandwidthShare.median, ratio(measurement)?.median ?? 1, measurement.error,
            ]
            values.append(
                [
                    "\(measurement.shape.rows)", "\(measurement.shape.columns)", "\(measurement.sparsity)",
                    "\(measurement.tokens)", measurement.product, "\(measurement.storedByteCount)",
                    "\(measurement.copies)",
                ] + numbers.map { "\($0)" })
        }
        return values
    }

    var json: JSON {
        [
            "device": [
                "name": .string(device.name), "capability": .string("\(device.capability)"),
                "multiprocessors": .integer(device.multiprocessors), "l2_bytes": .integer(device.l2Bytes),
                "driver_cuda": .string("\(driver)"), "nvrtc": .string("\(compiler)"),
            ],
            "bandwidth_bytes_per_second": Self.samples(report.bandwidth),
            "rounds": .integer(rounds),
            "baseline": .string(baseline),
            "preparation_seconds": .number(report.preparationSeconds),
            "is_cut_short": .bool(report.isCutShort),
            "not_measured": .array(missing.map(JSON.string)),
            "failures": .array(report.failures.map(JSON.string)),
            "results": .array(measurements.map(json)),
            "geometric_means": .array(
                means.map { mean in
                    [
                        "sparsity": .number(mean.sparsity), "tokens": .integer(mean.tokens),
                        "product": .string(mean.product), "shapes": .integer(mean.shapes),
                        "microseconds": .number(mean.microseconds),
                        "ratio": mean.ratio.map(JSON.number) ?? .null,
                        "share_of_bandwidth": .number(mean.bandwidthShare),
                    ]
                }),
        ]
    }

    private func json(_ measurement: GPUProductMeasurement) -> JSON {
        [
            "rows": .integer(measurement.shape.rows),
            "columns": .integer(measurement.shape.columns),
            "sparsity": .number(measurement.sparsity),
            "tokens": .integer(measurement.tokens),
            "product": .string(measurement.product),
            "stored_bytes": .integer(measurement.storedByteCount),
            "copies": .integer(measurement.copies),
            "seconds": Self.samples(measurement.seconds),
            "compressed_bytes_per_second": .number(measurement.compressedBytesPerSecond.median),
            "share_of_bandwidth": .number(measurement.bandwidthShare.median),
            "ratio": ratio(measurement).map(Self.samples) ?? .null,
            "error": .number(measurement.error),
        ]
    }

    private static func samples(_ spread: Spread) -> JSON {
        spread.samples.isEmpty
            ? .null : ["median": .number(spread.median), "samples": .array(spread.samples.map(JSON.number))]
    }

    /// Speed-ups over the baseline against the sparsity, and shares of bandwidth, a chart for every number of tokens.
    var figure: Figure {
        let means = means
        let tokenCounts = Set(means.map(\.tokens)).sorted()
        let shapes = Set(measurements.map(\.shape))
        let subtitle = shapes.count == 1 ? "\(shapes.first!)" : "geometric mean of \(shapes.count) shapes"
        return Figure(
            title: "Products with sparse weights on \(device.name)",
            subtitle: "\(subtitle) · weights from memory",
            rows: [
                Figure.Row(
                    heading: "Speed, as a multiple of \(baseline)",
                    charts: tokenCounts.map { tokens in
                        chart(tokens, means, "times \(baseline)", suffix: "×") {
                            $0.product == baseline ? 1 : $0.ratio
                        }
                    }),
                Figure.Row(
                    heading: "Stored weights that pass, as a share of the bandwidth of reading memory",
                    charts: tokenCounts.map { tokens in
                        chart(tokens, means, "share", suffix: " %") { $0.bandwidthShare * 100 }
                    }),
            ],
            notes: ["Medians of \(rounds) rounds measured in turns; bars are quartiles."] + notes)
    }

    private func chart(
        _ tokens: Int, _ means: [Mean], _ title: String, suffix: String, value: (Mean) -> Double?
    ) -> Chart {
        var products: [(name: String, isDense: Bool)] = []
        for mean in means where !products.contains(where: { $0.name == mean.product }) {
            products.append((mean.product, mean.isDense))
        }
        let styles = FormatStyles(products)
        let sparsities = Set(means.map(\.sparsity)).sorted()
        let isRatio = suffix == "×"
        let values = means.compactMap(value) + (isRatio ? means.compactMap(\.spread?.upperBound) : [])
        let series = products.map { product in
            Series(
                product.name.printable, style: styles.style(product.name),
                points: means.filter { $0.tokens == tokens && $0.product == product.name }.compactMap { mean in
                    value(mean).map {
                        Series.Point(x: mean.sparsity, y: $0, spread: isRatio ? mean.spread : nil)
                    }
                })
        }
        return Chart(
            title: tokens == 1 ? "1 token" : "\(tokens) tokens",
            x: Axis(
                "zeros", .linear, showing: sparsities,
                ticks: Axis.thinned(
                    sparsities.map { Axis.Tick($0, Format.percentage($0, decimals: 0)) }, limit: 6)),
            y: Axis(title, .linear, showing: values.isEmpty ? [1] : values, startsAtZero: true, suffix: suffix),
            series: series)
    }
}

import CUDA
import Engine
import GPUBenchmark
import OrderedJSON
import Terminal

/// What `bench spmm --device cuda` found, as a table, as JSON and as comma-separated values.
struct GPUProductResults {
    let report: GPUProductReport
    let device: Device
    let driver: CUDAVersion
    let compiler: CUDAVersion
    let rounds: Int
    /// What was not there to compare with, a sentence each.
    let missing: [String]

    /// A product at one sparsity and number of tokens, all shapes together.
    struct Mean {
        let sparsity: Double
        let tokens: Int
        let product: String
        let isDense: Bool
        let shapes: Int
        let microseconds: Double
        /// Speed as a multiple of the baseline's; nil for the baseline itself, or where it was not measured.
        let ratio: Double?
        /// Quartiles of the ratio, where there is one shape.
        let spread: ClosedRange<Double>?
        let bandwidthShare: Double
    }

    var measurements: [GPUProductMeasurement] { report.measurements }

    /// cuBLAS, or our dense kernel where it was not there.
    var baseline: String {
        let hasLibrary = measurements.contains { $0.product == GPUProductMeasurement.baseline }
        return hasLibrary ? GPUProductMeasurement.baseline : GPUProductMeasurement.ownBaseline
    }

    func ratio(_ measurement: GPUProductMeasurement) -> Spread? {
        guard measurement.product != baseline else { return nil }
        return measurements.first { $0.product == baseline && $0.isComparable(to: measurement) }
            .map(measurement.ratio)
    }

    /// In the order of sparsities, then tokens, then products.
    var means: [Mean] {
        let sparsities = Set(measurements.map(\.sparsity)).sorted()
        let tokens = Set(measurements.map(\.tokens)).sorted()
        var products: [String] = []
        for measurement in measurements where !products.contains(measurement.product) {
            products.append(measurement.product)
        }
        return sparsities.flatMap { sparsity in
            tokens.flatMap { tokens in products.compactMap { mean(sparsity, tokens, $0) } }
        }
    }

    private func mean(_ sparsity: Double, _ tokens: Int, _ product: String) -> Mean? {
        let same = measurements.filter { $0.sparsity == sparsity && $0.tokens == tokens && $0.product == product }
        guard let first = same.first else { return nil }
        let ratios = same.compactMap(ratio)
        return Mean(
            sparsity: sparsity, tokens: tokens, product: product, isDense: first.isDense, shapes: same.count,
            microseconds: geometricMean(same.map { $0.seconds.median * 1e6 }),
            ratio: ratios.isEmpty ? nil : geometricMean(ratios.map(\.median)),
            spread: ratios.count == 1 ? ratios[0].lowerQuartile...ratios[0].upperQuartile : nil,
            bandwidthShare: geometricMean(same.map(\.bandwidthShare.median)))
    }

    // ---- Tables ----

    /// Every setting where there are up to two shapes, and in any case the means of the shapes.
    func table(for traits: OutputTraits) -> String {
        let shapes = Set(measurements.map(\.shape))
        let details = shapes.count <= 2 ? detailTable(for: traits) + "\n" : ""
        return details + meanTable(for: traits) + notes.map { $0 + "\n" }.joined()
    }

    private func detailTable(for traits: OutputTraits) -> String {
        var table = Table([
            .text("product"), .number("µs"), .number("quartiles"), .number("to \(baseline)"), .number("GB/s"),
            .number("bandwidth"), .number("error"),
        ])
        var last: GPUProductMeasurement?
        for measurement in measurements {
            if !(last?.isComparable(to: measurement) ?? false) {
                table.appendHeadline(
                    "\(measurement.shape), \(Self.headline(measurement.sparsity, measurement.tokens))")
            }
            last = measurement
            let seconds = measurement.seconds
            table.append([
                measurement.product, micro(seconds.median),
                "\(micro(seconds.lowerQuartile))-\(micro(seconds.upperQuartile))",
                times(ratio(measurement)?.median),
                Format.fixed(measurement.compressedBytesPerSecond.median / 1e9, decimals: 0),
                Format.percentage(measurement.bandwidthShare.median, decimals: 0),
                Format.fixed(measurement.error, decimals: 2),
            ])
        }
        return table.text(for: traits)
    }

    private func meanTable(for traits: OutputTraits) -> String {
        var table = Table([
            .text("geometric mean"), .number("shapes"), .number("µs"), .number("to \(baseline)"),
            .number("bandwidth"),
        ])
        var last: (Double, Int)?
        for mean in means {
            if last == nil || last! != (mean.sparsity, mean.tokens) {
                table.appendHeadline(Self.headline(mean.sparsity, mean.tokens))
            }
            last = (mean.sparsity, mean.tokens)
            table.append([
                mean.product, "\(mean.shapes)", Format.fixed(mean.microseconds, decimals: 1), times(mean.ratio),
                Format.percentage(mean.bandwidthShare, decimals: 0),
            ])
        }
        return table.text(for: traits)
    }

    private static func headline(_ sparsity: Double, _ tokens: Int) -> String {
        "\(Format.percentage(sparsity, decimals: 0)) zeros, \(tokens) token\(tokens == 1 ? "" : "s")"
    }

    private func micro(_ seconds: Double) -> String { Format.fixed(seconds * 1e6, decimals: 1) }

    private func times(_ ratio: Double?) -> String { ratio.map { Format.fixed($0, decimals: 2) + "x" } ?? "" }

    /// What a reader must know besides the figures.
    var notes: [String] {
        var notes: [String] = []
        if !report.bandwidth.samples.isEmpty {
            notes.append(
                "\(device.name): memory is read at \(Format.rate(bytesPerSecond: report.bandwidth.median)), measured "
                    + "in the same rounds; 'bandwidth' is the share of it at which stored weights pass")
        }
        let small = measurements.filter { $0.storedByteCount * $0.copies < 2 * device.l2Bytes }
        if !small.isEmpty {
            let products = Set(small.map(\.product)).sorted().joined(separator: ", ")
            notes.append("the copies of \(products) take less than twice the second-level cache: they stay in it")
        }
        if report.isCutShort { notes.append("the time was over before all matrices were measured") }
        return notes + missing.map { "not measured: \($0.printable)" } + report.failures
    }
}

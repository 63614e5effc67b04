import Engine
import OrderedJSON
import Terminal

/// What `bench spmm` found, as a table, as JSON and as comma-separated values.
struct ProductResults {
    let measurements: [ProductMeasurement]
    let rounds: Int
    let instructionSet: String
    let caches: ProcessorCaches

    /// Speed as a multiple of a format's on the same matrix, tokens and threads; nil if that is the format itself.
    func ratio(_ measurement: ProductMeasurement, to format: String) -> Spread? {
        guard measurement.format != format else { return nil }
        return measurements.first { $0.format == format && $0.isComparable(to: measurement) }.map(measurement.ratio)
    }

    /// To dense i8, for what works with integers; nil for the rest, and for dense i8 itself.
    func integerRatio(_ measurement: ProductMeasurement) -> Spread? {
        measurement.isInteger ? ratio(measurement, to: ProductCandidate.integerBaseline) : nil
    }

    /// A setting is a headline, so that a line has room for a format's figures in 100 columns.
    func table(for traits: OutputTraits) -> String {
        let hasIntegers = measurements.contains { integerRatio($0) != nil }
        var columns: [Table.Column] = [
            .text("format"), .number("B/weight"), .number("Gweights/s"), .number("quartiles"), .number("memory"),
            .number("compute"), .number("bound"), .number("to f16"),
        ]
        if hasIntegers { columns.append(.number("to i8")) }
        var table = Table(columns)
        var last: ProductMeasurement?
        for measurement in measurements {
            if !(last?.isComparable(to: measurement) ?? false) { table.appendHeadline(Self.headline(measurement)) }
            last = measurement
            let speed = measurement.weightsPerSecond
            func share(_ spread: Spread) -> String { Format.percentage(spread.median, decimals: 0) }
            func times(_ spread: Spread?) -> String { spread.map { Format.fixed($0.median, decimals: 2) + "x" } ?? "" }
            var cells = [
                measurement.format, Format.fixed(measurement.bytesPerWeight, decimals: 3), giga(speed.median),
                "\(giga(speed.lowerQuartile))-\(giga(speed.upperQuartile))",
                share(measurement.bandwidthShare), share(measurement.computeShare), share(measurement.boundShare),
                times(ratio(measurement, to: ProductCandidate.baseline)),
            ]
            if hasIntegers { cells.append(times(integerRatio(measurement))) }
            table.append(cells)
        }
        return table.text(for: traits) + notes.map { $0 + "\n" }.joined()
    }

    /// "4096x4096, 70 % zeros, 4 tokens, 2 threads"
    private static func headline(_ measurement: ProductMeasurement) -> String {
        func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
        return "\(measurement.shape), \(Format.percentage(measurement.sparsity, decimals: 0)) zeros, "
            + "\(count(measurement.tokens, "token")), \(count(measurement.threads, "thread"))"
    }

    private func giga(_ value: Double) -> String { Format.fixed(value / 1e9, decimals: 2) }

    /// What a reader must know besides the figures.
    var notes: [String] {
        var notes = [
            "measured memory bandwidth: \(bandwidths.joined(separator: ", ")); kernels: \(instructionSet)"
                + (Machine.processorName.map { "; processor: \($0.printable)" } ?? "")
        ]
        let small = measurements.filter { $0.workingSetByteCount < 2 * caches.lastLevelByteCount }
        if !small.isEmpty {
            let formats = Set(small.map(\.format)).sorted().joined(separator: ", ")
            notes.append(
                "the copies of \(formats) take less than twice the largest cache, "
                    + "\(Format.bytes(caches.lastLevelByteCount)): give them more --memory")
        }
        return notes
    }

    /// "27.1 GB/s on 2 threads", for every number of threads.
    var bandwidths: [String] {
        Set(measurements.map(\.threads)).sorted().map { threads in
            let samples = measurements.filter { $0.threads == threads }.flatMap(\.bandwidth.samples)
            let rate = Format.rate(bytesPerSecond: Spread(samples).median)
            return "\(rate) on \(threads) thread\(threads == 1 ? "" : "s")"
        }
    }

    var csv: CommaSeparatedValues {
        var values = CommaSeparatedValues([
            "rows", "columns", "sparsity", "tokens", "threads", "format", "bytes_per_weight", "weights_per_second",
            "lower_quartile", "upper_quartile", "compressed_bytes_per_second", "bandwidth_bytes_per_second",
            "cached_weights_per_second", "share_of_bandwidth", "share_of_compute", "share_of_bound",
            "ratio_to_dense_f16", "ratio_to_dense_i8",
        ])
        for measurement in measurements {
            let speed = measurement.weightsPerSecond
            let numbers = [
                measurement.bytesPerWeight, speed.median, speed.lowerQuartile, speed.upperQuartile,
                measurement.compressedBytesPerSecond.median, measurement.bandwidth.median,
                measurement.residentWeightsPerSecond.median, measurement.bandwidthShare.median,
                measurement.computeShare.median, measurement.boundShare.median,
                ratio(measurement, to: ProductCandidate.baseline)?.median ?? 1,
            ]
            values.append(
                [
                    "\(measurement.shape.rows)", "\(measurement.shape.columns)", "\(measurement.sparsity)",
                    "\(measurement.tokens)", "\(measurement.threads)", measurement.format,
                ] + numbers.map { "\($0)" } + [integerRatio(measurement).map { "\($0.median)" } ?? ""])
        }
        return values
    }

    var json: JSON {
        func samples(_ spread: Spread) -> JSON {
            ["median": .number(spread.median), "samples": .array(spread.samples.map(JSON.number))]
        }
        return [
            "instruction_set": .string(instructionSet),
            "processor": Machine.processorName.map(JSON.string) ?? .null,
            "last_level_cache_bytes": .integer(caches.lastLevelByteCount),
            "rounds": .integer(rounds),
            "results": .array(
                measurements.map { measurement in
                    [
                        "rows": .integer(measurement.shape.rows),
                        "columns": .integer(measurement.shape.columns),
                        "sparsity": .number(measurement.sparsity),
                        "tokens": .integer(measurement.tokens),
                        "threads": .integer(measurement.threads),
                        "format": .string(measurement.format),
                        "bytes_per_weight": .number(measurement.bytesPerWeight),
                        "working_set_bytes": .integer(measurement.workingSetByteCount),
                        "weights_per_second": samples(measurement.weightsPerSecond),
                        "bandwidth_bytes_per_second": samples(measurement.bandwidth),
                        "cached_weights_per_second": samples(measurement.residentWeightsPerSecond),
                        "share_of_bandwidth": .number(measurement.bandwidthShare.median),
                        "share_of_compute": .number(measurement.computeShare.median),
                        "share_of_bound": .number(measurement.boundShare.median),
                        "ratio_to_dense_f16": ratio(measurement, to: ProductCandidate.baseline).map(samples) ?? .null,
                        "ratio_to_dense_i8": integerRatio(measurement).map(samples) ?? .null,
                    ]
                }),
        ]
    }
}

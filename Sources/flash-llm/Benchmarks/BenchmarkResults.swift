import Engine
import OrderedJSON
import Terminal

/// What `bench MODEL` found, as a table and as JSON.
struct BenchmarkResults {
    let measurements: [BenchmarkRun.Measurement]
    /// Bytes per second by number of threads.
    let bandwidth: [Int: Spread]
    let instructionSet: String

    /// Ratio to the first model at the same setting, round by round.
    func ratio(_ measurement: BenchmarkRun.Measurement) -> Double? {
        guard measurement.setting.model > 0,
            let first = measurements.first(where: {
                $0.setting.model == 0 && $0.setting.threads == measurement.setting.threads
                    && $0.setting.kind == measurement.setting.kind
            })
        else { return nil }
        return Spread(zip(measurement.tokensPerSecond.samples, first.tokensPerSecond.samples).map { $0 / $1 }).median
    }

    /// Numbers of tokens in the cache when decoding was measured, the fewest first.
    var depths: [Int] {
        let found = measurements.compactMap { measurement in
            if case .decode(_, let depth) = measurement.setting.kind { depth } else { nil }
        }
        return Set(found).sorted()
    }

    /// The share of a step that looking back at its context takes: what it takes longer than a step of the same round
    /// with the fewest tokens in the cache. nil for prompts, and for that depth itself.
    func attentionShare(_ measurement: BenchmarkRun.Measurement) -> Spread? {
        guard case .decode(let batch, let depth) = measurement.setting.kind, let least = depths.first, depth > least,
            let short = measurements.first(where: {
                $0.setting.model == measurement.setting.model && $0.setting.threads == measurement.setting.threads
                    && $0.setting.kind == .decode(batch: batch, depth: least)
            })
        else { return nil }
        // Times are the speeds' reciprocals.
        return Spread(
            zip(measurement.tokensPerSecond.samples, short.tokensPerSecond.samples).map { 1 - $0 / $1 })
    }

    /// "decode x 4", with the depth where several were measured.
    func label(_ kind: BenchmarkRun.Kind) -> String {
        switch kind {
        case .decode(let batch, let depth): "decode x \(batch)" + (depths.count > 1 ? " at \(depth)" : "")
        case .prompt(let tokens): "prompt \(tokens)"
        }
    }

    func table(for traits: OutputTraits) -> String {
        let hasDepths = depths.count > 1
        var columns: [Table.Column] = [
            .text("model"), .number("threads"), .text("what"), .number("tokens/s"), .number("quartiles"),
            .number("ratio"), .number("weights"), .number("of bandwidth"),
        ]
        if hasDepths { columns.append(.number("attention")) }
        var table = Table(columns)
        for measurement in measurements {
            let speed = measurement.tokensPerSecond
            var cells = [
                measurement.name, "\(measurement.setting.threads)", label(measurement.setting.kind),
                Format.fixed(speed.median, decimals: 1),
                "\(Format.fixed(speed.lowerQuartile, decimals: 1))-\(Format.fixed(speed.upperQuartile, decimals: 1))",
                ratio(measurement).map { Format.fixed($0, decimals: 2) + "x" } ?? "",
                Format.bytes(measurement.weightBytes),
                measurement.bytesPerStep == nil
                    ? "" : Format.percentage(measurement.bandwidthShare.median, decimals: 0),
            ]
            if hasDepths {
                cells.append(attentionShare(measurement).map { Format.percentage($0.median, decimals: 0) } ?? "")
            }
            table.append(cells)
        }
        let ceilings = bandwidth.sorted { $0.key < $1.key }.map { threads, spread in
            "\(Format.rate(bytesPerSecond: spread.median)) on \(threads) thread\(threads == 1 ? "" : "s")"
        }
        return table.text(for: traits)
            + "measured memory bandwidth: \(ceilings.joined(separator: ", ")); kernels: \(instructionSet)\n"
    }

    var json: JSON {
        [
            "instruction_set": .string(instructionSet),
            "processor": Machine.processorName.map(JSON.string) ?? .null,
            "bandwidth": .array(
                bandwidth.sorted { $0.key < $1.key }.map { threads, spread in
                    ["threads": .integer(threads), "bytes_per_second": Self.numbers(spread)]
                }),
            "results": .array(measurements.map(json)),
        ]
    }

    private func json(_ measurement: BenchmarkRun.Measurement) -> JSON {
        let (sequences, depth): (Int, JSON) =
            switch measurement.setting.kind {
            case .decode(let batch, let depth): (batch, .integer(depth))
            case .prompt: (1, .null)
            }
        return [
            "model": .string(measurement.name),
            "threads": .integer(measurement.setting.threads),
            "what": .string(label(measurement.setting.kind)),
            "sequences": .integer(sequences),
            "depth": depth,
            "tokens_per_second": Self.numbers(measurement.tokensPerSecond),
            "ratio": ratio(measurement).map(JSON.number) ?? .null,
            "weights_bytes": .integer(measurement.weightBytes),
            "bandwidth_share": Self.numbers(measurement.bandwidthShare),
            "attention_share": attentionShare(measurement).map(Self.numbers) ?? .null,
        ]
    }

    private static func numbers(_ spread: Spread) -> JSON {
        spread.samples.isEmpty
            ? .null : ["median": .number(spread.median), "samples": .array(spread.samples.map(JSON.number))]
    }
}

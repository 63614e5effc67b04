import Engine
import OrderedJSON
import Tensors
import Terminal

/// The rounds of `bench`: every setting of every model in turns.
struct BenchmarkRun {
    let names: [String]
    let models: [LanguageModel]
    let threadCounts: [Int]
    let batches: [Int]
    let promptTokens: Int
    let steps: Int
    let depth: Int
    let rounds: Int
    var cacheElement: ElementType = .f16

    /// What is measured of one model on some threads.
    enum Kind: Hashable {
        case decode(batch: Int)
        case prompt(tokens: Int)

        var label: String {
            switch self {
            case .decode(let batch): "decode x \(batch)"
            case .prompt(let tokens): "prompt \(tokens)"
            }
        }
    }

    struct Setting {
        let model: Int
        let threads: Int
        let kind: Kind
    }

    /// One setting's speed, with the bandwidth that was measured in the same rounds.
    struct Measurement {
        let setting: Setting
        let name: String
        let weightBytes: Int
        /// Weight bytes one step reads; nil for prompts, which wait for arithmetic.
        let bytesPerStep: Int?
        var tokensPerSecond = Spread()
        /// Share of the bandwidth of its own round.
        var bandwidthShare = Spread()
    }

    func measure(progress: (Int, Int) -> Void) throws -> BenchmarkResults {
        let probe = BandwidthProbe()
        var bandwidth: [Int: Spread] = [:]
        var measurements: [Measurement] = []
        var benchmarks: [[ModelBenchmark]] = []
        for (threadIndex, threads) in threadCounts.enumerated() {
            let pool = WorkerPool(threadCount: threads)
            benchmarks.append(
                models.map { model in
                    ModelBenchmark(
                        model, sequences: batches.max() ?? 1, contextTokens: max(promptTokens, depth + 1), pool: pool,
                        options: RunnerOptions(cacheElement: cacheElement))
                })
            let kinds =
                batches.map { Kind.decode(batch: $0) } + (promptTokens > 0 ? [.prompt(tokens: promptTokens)] : [])
            for kind in kinds {
                for (index, benchmark) in benchmarks[threadIndex].enumerated() {
                    var bytes: Int?
                    if case .decode = kind { bytes = benchmark.weightBytesPerStep }
                    measurements.append(
                        Measurement(
                            setting: Setting(model: index, threads: threads, kind: kind), name: names[index],
                            weightBytes: benchmark.model.weights.byteCount, bytesPerStep: bytes))
                }
            }
        }
        // One round more than asked for: the first touches memory and fills caches, and is not counted.
        for round in 0...rounds {
            progress(round, rounds + 1)
            for (threadIndex, threads) in threadCounts.enumerated() {
                let ceiling = probe.measure(benchmarks[threadIndex][0].pool)
                if round > 0 { bandwidth[threads, default: Spread()].add(ceiling) }
                for index in measurements.indices where measurements[index].setting.threads == threads {
                    let setting = measurements[index].setting
                    let seconds = try time(setting.kind, benchmarks[threadIndex][setting.model])
                    if round > 0 { measurements[index].add(seconds: seconds, ceiling: ceiling) }
                }
            }
        }
        return BenchmarkResults(
            measurements: measurements, bandwidth: bandwidth, instructionSet: RunnerOptions().kernels.instructionSet)
    }

    /// Seconds of one step or prompt: the median over a round's steps.
    private func time(_ kind: Kind, _ benchmark: ModelBenchmark) throws -> Double {
        switch kind {
        case .prompt(let tokens): return try benchmark.prompt(tokens: tokens)
        case .decode(let batch):
            var samples = Spread()
            for _ in 0..<steps { samples.add(try benchmark.decodeStep(sequences: batch, position: depth)) }
            return samples.median
        }
    }
}

extension BenchmarkRun.Measurement {
    mutating func add(seconds: Double, ceiling: Double) {
        switch setting.kind {
        case .prompt(let tokens): tokensPerSecond.add(Double(tokens) / seconds)
        case .decode(let batch): tokensPerSecond.add(Double(batch) / seconds)
        }
        if let bytesPerStep { bandwidthShare.add(Double(bytesPerStep) / seconds / ceiling) }
    }
}

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

    func table(for traits: OutputTraits) -> String {
        var table = Table([
            .text("model"), .number("threads"), .text("what"), .number("tokens/s"), .number("quartiles"),
            .number("ratio"), .number("weights"), .number("of bandwidth"),
        ])
        for measurement in measurements {
            let speed = measurement.tokensPerSecond
            table.append([
                measurement.name, "\(measurement.setting.threads)", measurement.setting.kind.label,
                Format.fixed(speed.median, decimals: 1),
                "\(Format.fixed(speed.lowerQuartile, decimals: 1))-\(Format.fixed(speed.upperQuartile, decimals: 1))",
                ratio(measurement).map { Format.fixed($0, decimals: 2) + "x" } ?? "",
                Format.bytes(measurement.weightBytes),
                measurement.bytesPerStep == nil
                    ? "" : Format.percentage(measurement.bandwidthShare.median, decimals: 0),
            ])
        }
        let ceilings = bandwidth.sorted { $0.key < $1.key }.map { threads, spread in
            "\(Format.rate(bytesPerSecond: spread.median)) on \(threads) thread\(threads == 1 ? "" : "s")"
        }
        return table.text(for: traits)
            + "measured memory bandwidth: \(ceilings.joined(separator: ", ")); kernels: \(instructionSet)\n"
    }

    var json: JSON {
        func numbers(_ spread: Spread) -> JSON {
            spread.samples.isEmpty
                ? .null : ["median": .number(spread.median), "samples": .array(spread.samples.map(JSON.number))]
        }
        return [
            "instruction_set": .string(instructionSet),
            "bandwidth": .array(
                bandwidth.sorted { $0.key < $1.key }.map { threads, spread in
                    ["threads": .integer(threads), "bytes_per_second": numbers(spread)]
                }),
            "results": .array(
                measurements.map { measurement in
                    [
                        "model": .string(measurement.name),
                        "threads": .integer(measurement.setting.threads),
                        "what": .string(measurement.setting.kind.label),
                        "tokens_per_second": numbers(measurement.tokensPerSecond),
                        "ratio": ratio(measurement).map(JSON.number) ?? .null,
                        "weights_bytes": .integer(measurement.weightBytes),
                        "bandwidth_share": numbers(measurement.bandwidthShare),
                    ]
                }),
        ]
    }
}

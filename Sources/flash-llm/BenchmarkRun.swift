import CUDA
import Engine
import Tensors

/// The rounds of `bench`: every setting of every model in turns.
struct BenchmarkRun {
    let names: [String]
    let models: [LanguageModel]
    let threadCounts: [Int]
    let batches: [Int]
    let promptTokens: Int
    let steps: Int
    /// Tokens in the cache when decoding is measured.
    let depths: [Int]
    let rounds: Int
    var options = RunnerOptions()

    /// What is measured of one model on some threads.
    enum Kind: Hashable {
        case decode(batch: Int, depth: Int)
        case prompt(tokens: Int)
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

    /// In the order of a round.
    private var kinds: [Kind] {
        batches.flatMap { batch in depths.map { .decode(batch: batch, depth: $0) } }
            + (promptTokens > 0 ? [.prompt(tokens: promptTokens)] : [])
    }

    func measure(progress: (Int, Int) -> Void) throws -> BenchmarkResults {
        let probe = BandwidthProbe()
        var bandwidth: [Int: Spread] = [:]
        var measurements: [Measurement] = []
        var benchmarks: [[ModelBenchmark]] = []
        for (threadIndex, threads) in threadCounts.enumerated() {
            let pool = WorkerPool(threadCount: threads)
            benchmarks.append(
                try models.enumerated().map { index, model in
                    try ModelBenchmark(
                        model, sequences: batches.max() ?? 1, contextTokens: max(promptTokens, (depths.max() ?? 0) + 1),
                        pool: pool, options: options,
                        sharingCacheOf: benchmarks.first?[index])
                })
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
                let ceiling = nominalBandwidth ?? probe.measure(benchmarks[threadIndex][0].pool)
                if round > 0 { bandwidth[threads, default: Spread()].add(ceiling) }
                for index in measurements.indices where measurements[index].setting.threads == threads {
                    let setting = measurements[index].setting
                    let seconds = try time(setting.kind, benchmarks[threadIndex][setting.model])
                    if round > 0 { measurements[index].add(seconds: seconds, ceiling: ceiling) }
                }
            }
        }
        return BenchmarkResults(
            measurements: measurements, bandwidth: bandwidth, instructionSet: instructionSet)
    }

    /// Bytes per second of a GPU's memory, as its driver says; nil on a CPU, where it is measured.
    private var nominalBandwidth: Double? {
        if case .cuda(let library) = options.device { library.context.device.nominalBytesPerSecond } else { nil }
    }

    /// What computes: a GPU's name, or the CPU's instruction set.
    private var instructionSet: String {
        switch options.device {
        case .cpu: options.kernels.instructionSet
        case .cuda(let library): library.context.device.name
        }
    }

    /// Seconds of a prompt, or of one step: the mean over a round's steps, all their tokens in all their time, as
    /// llama.cpp's benchmark takes it.
    private func time(_ kind: Kind, _ benchmark: ModelBenchmark) throws -> Double {
        switch kind {
        case .prompt(let tokens): return try benchmark.prompt(tokens: tokens)
        case .decode(let batch, let depth):
            var seconds = 0.0
            for _ in 0..<steps { seconds += try benchmark.decodeStep(sequences: batch, position: depth) }
            return seconds / Double(steps)
        }
    }
}

extension BenchmarkRun.Measurement {
    mutating func add(seconds: Double, ceiling: Double) {
        switch setting.kind {
        case .prompt(let tokens): tokensPerSecond.add(Double(tokens) / seconds)
        case .decode(let batch, _): tokensPerSecond.add(Double(batch) / seconds)
        }
        if let bytesPerStep { bandwidthShare.add(Double(bytesPerStep) / seconds / ceiling) }
    }
}

import ArgumentParser
import Checkpoints
import Engine
import Hub
import OrderedJSON
import Pruning
import Tensors
import Terminal
import Transformer

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where the tokens come from on which activations are looked at.
struct CalibrationOptions: ParsableArguments {
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Texts to calibrate on, in UTF-8. (default: texts that the model writes itself)", valueName: "file"),
        completion: .file())
    var calibration: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "With texts to calibrate on: the share of sequences that the model writes itself all the same. They keep "
                + "what the texts do not show.", valueName: "0...1"))
    var ownTexts = 0.5

    @Option(
        help: ArgumentHelp(
            "Tokens to calibrate on instead: {\"sequences\": [[1, 2, ...], ...]}.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var calibrationTokens: String?

    @Option(
        help: ArgumentHelp(
            "Sequences to calibrate on. (default: as many as have 65536 tokens; to recover, as many as its steps take, "
                + "and always so behind pruning)", valueName: "n"))
    var samples: Int?

    @Option(
        help: ArgumentHelp(
            "Tokens of each. Many short texts differ more from each other than few long ones.", valueName: "n"))
    var length = 128

    @Option(help: ArgumentHelp("What decides which texts are written, or which places of a text are taken."))
    var seed: UInt64 = 0

    func validate() throws {
        guard ownTexts >= 0, ownTexts <= 1 else {
            throw ValidationError("--own-texts must be in 0...1, found \(ownTexts)")
        }
        if let samples, !(1...CalibrationTokens.sequenceLimit).contains(samples) {
            throw ValidationError("--samples must be in 1...\(CalibrationTokens.sequenceLimit), found \(samples)")
        }
        guard (2...CalibrationTokens.lengthLimit).contains(length) else {
            throw ValidationError("--length must be in 2...\(CalibrationTokens.lengthLimit), found \(length)")
        }
        if calibrationTokens != nil, !calibration.isEmpty {
            throw ValidationError("--calibration and --calibration-tokens exclude each other: leave out one of them")
        }
    }

    /// What tokens are for. Recovery gets other texts than pruning: on those that it was fitted to, a pruned model is
    /// nearly as good as the dense one, and there is little to learn.
    enum Use {
        /// Some number of tokens, about, if nobody says how many sequences.
        case pruning(tokens: Int)
        case recovery(RecoveryLength)

        static let pruning = Use.pruning(tokens: 1 << 16)

        func sequenceCount(ofLength length: Int) -> Int {
            switch self {
            case .pruning(let tokens): CalibrationTokens.sequenceCount(tokens: tokens, length: length)
            case .recovery(let steps): steps.sequenceCount(ofLength: length)
            }
        }

        var isRecovery: Bool { if case .recovery = self { true } else { false } }
    }

    /// - Parameter sequences: how many, if somebody says so: ``samples``, unless it speaks of another use in the same
    ///   command.
    func tokens(
        _ files: ModelFiles, path: String, for use: Use, sequences: Int? = nil, pool: WorkerPool,
        progress: ProgressReporter
    ) throws -> CalibrationTokens {
        let vocabulary = files.configuration.vocabularySize
        if let calibrationTokens {
            let bytes = try Checkpoint.fileBytes(calibrationTokens)
            do {
                let json = try withExtendedLifetime(bytes) { try JSON(parsing: Array($0.buffer)) }
                return try CalibrationTokens(json, vocabularySize: vocabulary)
            } catch {
                throw CommandFailure("\(calibrationTokens): \(error)")
            }
        }
        let length = min(length, files.configuration.maximumContext)
        let samples = sequences ?? use.sequenceCount(ofLength: length)
        let own = calibration.isEmpty ? samples : Int((Double(samples) * ownTexts).rounded())
        let model = try LanguageModel.open(path: path, pool: pool)
        var sequences: [[Int32]] = []
        if own < samples {
            let texts = try calibration.map { try model.tokens(of: TextFile.read($0)) }
            sequences = try windows(of: texts, count: samples - own, length: length, for: use)
        }
        if own > 0 {
            let written = try written(
                own, by: model, files, path: path, length: length, for: use, pool: pool, progress: progress)
            sequences = Self.interleaved(sequences, written)
        }
        return try CalibrationTokens(sequences: sequences, vocabularySize: vocabulary)
    }

    /// All of both, each as evenly spread as it can be.
    static func interleaved(_ left: [[Int32]], _ right: [[Int32]]) -> [[Int32]] {
        var (taken, result) = (0, [[Int32]]())
        for (index, sequence) in right.enumerated() {
            let upTo = (index + 1) * left.count / right.count
            result += left[taken..<upTo]
            result.append(sequence)
            taken = upTo
        }
        return result + left[taken...]
    }

    /// Windows that do not overlap, spread over all texts: `count` of those there are, drawn by the seed. Recovery gets
    /// the last ones of the same order, and holds the last of them out: where texts are short, pruning saw others.
    private func windows(of texts: [[Int32]], count: Int, length: Int, for use: Use) throws -> [[Int32]] {
        var windows = texts.flatMap { tokens in
            stride(from: 0, through: tokens.count - length, by: length).map { Array(tokens[$0..<$0 + length]) }
        }
        guard !windows.isEmpty else {
            throw CommandFailure(
                "the calibration texts have \(texts.reduce(0) { $0 + $1.count }) tokens, less than one sequence of "
                    + "\(length) in each: give longer ones, or a smaller --length")
        }
        var state = seed &+ 0x9E37_79B9_7F4A_7C15
        for index in windows.indices.dropLast() {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            windows.swapAt(index, index + Int((state >> 33) % UInt64(windows.count - index)))
        }
        return Array(use.isRecovery ? windows.suffix(count) : windows.prefix(count))
    }

    /// Texts of the model's own, from the cache if it wrote these before. It writes with values of eight bits, twice as
    /// fast, and what it writes is as good.
    private func written(
        _ samples: Int, by model: LanguageModel, _ files: ModelFiles, path: String, length: Int, for use: Use,
        pool: WorkerPool, progress: ProgressReporter
    ) throws -> [[Int32]] {
        let vocabulary = files.configuration.vocabularySize
        let store = WrittenTexts(model: model, length: length, seed: seed, forRecovery: use.isRecovery)
        var texts = store.kept(vocabulary: vocabulary)?.sequences ?? []
        if texts.count < samples {
            let writer =
                files.packed == nil ? try LanguageModel.open(path: path, packing: .eightBits, pool: pool) : model
            let sampler = TextSampler(writer, length: length, pool: pool)
            let (first, whole) = (texts.count, TextSampler.wholeBatches(samples))
            // Of the texts that there are of a seed, recovery's begin behind all that pruning can ask for.
            let start = use.isRecovery ? TextSampler.wholeBatches(CalibrationTokens.sequenceLimit) : 0
            texts += try sampler.sample(start + first..<start + whole, seed: seed) {
                progress.update("writing texts to calibrate on", completed: $0, of: $1, unit: .things("tokens"))
            }
            progress.finish()
            store.keep(try CalibrationTokens(sequences: texts, vocabularySize: vocabulary))
        }
        return Array(texts.prefix(samples))
    }
}

/// Texts that models wrote, beside the pulled models: `ROOT/calibration/`, a file for each model, length, seed and use,
/// which grows as more are asked for.
///
/// What lies there is never trusted; a folder that cannot be written to is no error.
struct WrittenTexts {
    private let folder: String?
    private let name: String
    private let length: Int

    init(model: LanguageModel, length: Int, seed: UInt64, forRecovery isForRecovery: Bool) {
        folder = (try? ModelCache(environment: ProcessInfo.processInfo.environment)).map { $0.root + "/calibration" }
        self.length = length
        // A norm tells models of one configuration apart.
        var checksum = CRC32C()
        Array(model.checkpoint.configuration.text().utf8).withUnsafeBytes { checksum.update($0) }
        let norm = model.weights.finalNorm ?? model.weights.layers[0].inputNorm
        checksum.update(UnsafeRawBufferPointer(norm.weight.buffer))
        // Those without the 2 were written with the model's own values.
        name = "texts-2-\(checksum.checksum)-\(length)-seed-\(seed)\(isForRecovery ? "-recovery" : "").json"
    }

    func kept(vocabulary: Int) -> CalibrationTokens? {
        guard let folder, let bytes = try? Checkpoint.fileBytes("\(folder)/\(name)"),
            let json = try? JSON(parsing: Array(bytes.buffer)),
            let tokens = try? CalibrationTokens(json, vocabularySize: vocabulary),
            tokens.length == length, tokens.sequences.count % TextSampler.batch == 0
        else { return nil }
        return tokens
    }

    func keep(_ tokens: CalibrationTokens) {
        guard let folder else { return }
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try? Data((tokens.json.text() + "\n").utf8).write(to: URL(filePath: "\(folder)/\(name)"), options: .atomic)
    }
}

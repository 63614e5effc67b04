import ArgumentParser
import Engine
import Sparse
import Tensors
import Terminal
import Transformer

/// What becomes of the dense matrices of a model that is opened.
struct LoadPackingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Pack the layers' matrices while loading: auto, none, or as f16, i16, i8 or i4. auto packs, without loss, "
                + "those of a pruned model (30 % zeros or more) that will be faster. (default: auto; bench: none)",
            valueName: "how"))
    var pack: String?

    @OptionGroup var profile: ProfileOptions

    /// What `--pack` can say, beside the types of values.
    private enum Way: Equatable {
        case none
        case pruned
        case all(ValueChoice)
    }

    private static let group = ScaleGroup.columns128

    private func way(default word: String) throws(ValidationError) -> Way {
        let integers = QuantizedCoding.allCases.map {
            (name: $0.rawValue, value: Way.all(.quantized($0, Self.group)))
        }
        return try named(
            pack ?? word, "way to pack",
            among: [("auto", .pruned), ("none", .none), ("f16", .all(.exact))] + integers)
    }

    func validate() throws { _ = try way(default: "auto") }

    /// What opening a model is told.
    /// - Parameters:
    ///   - word: what `--pack` is where it was not given.
    ///   - threads: those that will compute.
    func packing(
        default word: String = "auto", threads: Int, kernels: Kernels = .best, console: Console,
        progress: ProgressReporter
    ) throws -> LoadPacking? {
        let values: ValueChoice
        let minimumSparsity: Double
        switch try way(default: word) {
        case .none: return nil
        case .pruned: (values, minimumSparsity) = (.exact, LoadPacking.prunedSparsity)
        case .all(let asked): (values, minimumSparsity) = (asked, 0)
        }
        return LoadPacking(values: values, minimumSparsity: minimumSparsity) {
            .fastest(
                CostModel(
                    profile: try profile.load(threads: threads, kernels: kernels, console: console, progress: progress))
            )
        }
    }

    /// Tells a person at a terminal what was packed while their model was loaded.
    static func report(_ weights: DecoderWeights, console: Console) {
        let packed = weights.packedAtLoad
        guard packed.matrixCount > 0, console.errors.isTerminal else { return }
        TextSink.standardError.write(
            "packed \(packed.matrixCount) matrices while loading: \(Format.bytes(packed.denseByteCount)) became "
                + "\(Format.bytes(packed.byteCount)) ('flash-llm pack' keeps the result, --pack none goes without)\n")
    }
}

import Checkpoints
import Engine
import Pruning
import Tensors
import Terminal

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Prunes a model as far as its perplexity on a text may rise: several times, and the best of these is what is written.
///
/// All of them lie in the output's hidden folder meanwhile, so that an interruption leaves nothing behind; it loses all
/// of them, too.
struct BoundedPruning {
    /// What the perplexity may be.
    enum Bound: Equatable {
        case perplexity(Double)
        /// Times the dense model's.
        case ratio(Double)
    }

    let bound: Bound
    /// The dense model.
    let path: String
    /// What perplexity is measured on; nil for our own short text.
    let text: String?
    let pool: WorkerPool
    let progress: ProgressReporter

    /// - Parameter prune: writes a model with a share of zeros.
    /// - Throws: `CommandFailure` if no share of zeros fits; what `prune`, or writing a folder, throws.
    func callAsFunction(
        to destination: ModelRewriter.Destination,
        prune: (Double, ModelRewriter.Destination) throws -> ModelPruner.Report
    ) throws -> ModelPruner.Report {
        let folder = try FolderWriter(
            path: destination.path, overwriting: destination.overwriting, keeping: [path], started: destination.started)
        defer { folder.abandon() }
        let dense = try perplexity(of: path, "dense")
        var search = PerplexitySearch(dense: dense, limit: try limit(dense: dense))
        let (trial, kept) = ("\(folder.partialPath)/trial", "\(folder.partialPath)/kept")
        var best: ModelPruner.Report?
        while let sparsity = search.next {
            var inner = destination
            (inner.path, inner.overwriting, inner.started) = (trial, true, { _ in })
            let report = try prune(sparsity, inner)
            let percent = Format.percentage(sparsity)
            search.add(sparsity: sparsity, perplexity: try perplexity(of: trial, "\(percent) zeros"))
            guard search.best == sparsity else { continue }
            best = report
            try? FileManager.default.removeItem(atPath: kept)
            try FileManager.default.moveItem(atPath: trial, toPath: kept)
        }
        guard let best else {
            throw CommandFailure(
                "the budget: expected a perplexity that some zeros reach, found "
                    + "\(Format.fixed(search.limit, decimals: 2)), and the dense model has "
                    + "\(Format.fixed(dense, decimals: 2))")
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: kept) {
            try FileManager.default.moveItem(atPath: "\(kept)/\(name)", toPath: "\(folder.partialPath)/\(name)")
        }
        for rest in [kept, trial] { try? FileManager.default.removeItem(atPath: rest) }
        try folder.finish()
        return best
    }

    private func limit(dense: Double) throws -> Double {
        let limit =
            switch bound {
            case .perplexity(let limit): limit
            case .ratio(let ratio): dense * ratio
            }
        guard limit > dense else {
            throw CommandFailure(
                "the budget: expected a perplexity of more than \(Format.fixed(dense, decimals: 2)), which the dense "
                    + "model has, found \(Format.fixed(limit, decimals: 2))")
        }
        return limit
    }

    private func perplexity(of path: String, _ label: String) throws -> Double {
        let model = try LanguageModel.open(path: path, pool: pool)
        let measured = try BuiltInText.perplexity(
            of: model, on: text ?? EvaluationText.bridge, label: label, pool: pool,
            progress: progress)
        progress.finish()
        return measured.perplexity
    }
}

import Checkpoints
import LinearAlgebra
import Pruning
import Sparse
import Tensors
import Terminal

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Makes the models of a comparison, each in a folder of its own. Those that are there already, made in the same way,
/// are taken as they are.
struct ParetoModels {
    let folder: String
    let path: String
    let files: ModelFiles
    let calibration: CalibrationTokens
    let recovery: ModelPruner.RecoveryPlan?
    let group: ScaleGroup
    let pool: WorkerPool
    let progress: ProgressReporter
    let interrupts: InterruptHandler

    struct Made {
        let path: String
        let sparsity: Double
        let bitsPerWeight: Double
    }

    func make(_ variant: ParetoVariant) throws -> Made {
        let pruned = try prune(variant)
        let files = try ModelFiles(path: pruned)
        let packer = ModelPacker(
            files.checkpoint, matrices: files.layout.projections.map(\.name), tables: files.layout.tables, pool: pool)
        let values = variant.coding.map { ValueChoice.quantized($0, group) } ?? .exact
        let target = "\(folder)/\(variant.folderName)-packed"
        let reports = try write("packing \(variant)", files, to: target) {
            // Embeddings in int8 cost nothing that can be seen.
            try packer.pack(
                to: $0, choice: .smallest, values: values,
                tableValues: variant.coding == nil ? .exact : .quantized(.i8, group))
        }
        let matrices = reports.filter { report in files.layout.projections.contains { $0.name == report.name } }
        let weights = matrices.reduce(0) { $0 + $1.rows * $1.columns }
        return Made(
            path: target,
            sparsity: 1 - Double(matrices.reduce(0) { $0 + $1.nonzeroCount }) / Double(max(weights, 1)),
            bitsPerWeight: 8 * Double(matrices.reduce(0) { $0 + $1.packedByteCount }) / Double(max(weights, 1)))
    }

    /// The variant's weights, not packed yet.
    private func prune(_ variant: ParetoVariant) throws -> String {
        if variant.method == nil && variant.coding == nil { return path }
        let target = "\(folder)/\(variant.folderName)"
        let note = "\(target)/pareto.txt"
        let settings = "\(variant) \(path) \(calibration.checksum) \(recovery.map { "\($0.length)" } ?? "") \(group)\n"
        if (try? String(contentsOfFile: note, encoding: .utf8)) == settings { return target }
        let pruner = try ModelPruner(
            files.checkpoint, configuration: files.configuration, method: variant.method ?? .magnitude,
            target: PruningTarget(sparsity: variant.sparsity),
            values: variant.coding.map { ValueGrid(coding: $0, group: group) }, calibration: calibration,
            recovery: variant.method == nil ? nil : recovery, arithmetic: Arithmetic(pool: pool))
        _ = try write("pruning \(variant)", files, to: target) {
            try pruner.prune(to: $0) { progress.update($0, of: variant.description) }
        }
        try Data(settings.utf8).write(to: URL(filePath: note), options: .atomic)
        return target
    }

    private func write<Result>(
        _ label: String, _ files: ModelFiles, to path: String, _ body: (ModelRewriter.Destination) throws -> Result
    ) throws -> Result {
        try ModelWriting(progress: progress, interrupts: interrupts)(
            label, copying: files, to: path, overwriting: true, body)
    }
}

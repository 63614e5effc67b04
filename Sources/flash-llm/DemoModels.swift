import Checkpoints
import LinearAlgebra
import Pruning
import Sparse
import Tensors
import Terminal

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Makes the demo's models, beside the cache.
struct DemoModels {
    let root: String
    let pool: WorkerPool
    let progress: ProgressReporter
    let interrupts: InterruptHandler

    /// What the model writes, to look at its activations on: little, since the demo is to take less than two minutes.
    static let tokens = 8192

    func prune(_ path: String, sparsity: Double) throws -> (path: String, sparsity: Double) {
        let files = try ModelFiles(path: path)
        let texts = try CalibrationOptions.parse([])
        let pruner = try ModelPruner(
            files.checkpoint, configuration: files.configuration, method: .sparsegpt,
            target: PruningTarget(sparsity: sparsity),
            calibration: try texts.tokens(
                files, path: path, for: .pruning(tokens: Self.tokens), pool: pool, progress: progress),
            arithmetic: Arithmetic(pool: pool))
        let target = root + "/pruned"
        let report = try write("pruning", files, to: target) {
            try pruner.prune(to: $0) { progress.update($0, of: "the model") }
        }
        return (target, report.sparsity)
    }

    /// - Parameters:
    ///   - name: of the folder.
    ///   - values: how nonzeros are stored, and the embedding table.
    func pack(
        _ path: String, as name: String, values: ValueChoice
    ) throws -> (path: String, denseBytes: Int, packedBytes: Int) {
        let files = try ModelFiles(path: path)
        let packer = ModelPacker(
            files.checkpoint, matrices: files.layout.projections.map(\.name), tables: files.layout.tables, pool: pool)
        let target = root + "/" + name
        let reports = try write("packing", files, to: target) {
            try packer.pack(to: $0, choice: .smallest, values: values, tableValues: values)
        }
        return (
            target, reports.reduce(0) { $0 + $1.denseByteCount }, reports.reduce(0) { $0 + $1.packedByteCount }
        )
    }

    private func write<Result>(
        _ label: String, _ files: ModelFiles, to path: String,
        _ body: (ModelRewriter.Destination) throws -> Result
    ) throws -> Result {
        mkdir(root, 0o777)  // if that fails, creating the folder in it says why
        return try ModelWriting(progress: progress, interrupts: interrupts)(
            label, copying: files, to: path, overwriting: true, body)
    }
}

import ModelFixtures
import Sparse
import Tensors
import Testing

@testable import Checkpoints

@Suite struct SampledSizesTests {
    @Test func estimatesFromAFewRows() throws {
        let folder = TemporaryFolder()
        var model = TinyModel(type: .f16, sparsity: 0.8)
        model.layerCount = 1
        model.intermediateSize = 2048
        try model.write(to: folder.path + "/model")
        let checkpoint = try Checkpoint.open(path: folder.path + "/model")
        let pool = WorkerPool(threadCount: 1)
        let name = "model.layers.0.mlp.up_proj.weight"
        let exact = try checkpoint.packedSizes(name, pool: pool)
        let estimate = try checkpoint.packedSizes(name, sampledRows: 64, pool: pool)
        #expect(estimate.nonzeroCount != exact.nonzeroCount)  // of another number of elements
        #expect(abs(Double(estimate.nonzeroCount) / Double(exact.nonzeroCount) - 1) < 0.1)
        for (format, byteCount) in exact.sizes {
            let found = try #require(estimate.sizes.first { $0.format == format }?.byteCount)
            #expect(abs(Double(found) / Double(byteCount) - 1) < 0.15, "\(format)")
        }
        // As many rows as there are, or more, are all of them.
        for rows in [2048, 5000] {
            let whole = try checkpoint.packedSizes(name, sampledRows: rows, pool: pool)
            #expect(whole.nonzeroCount == exact.nonzeroCount)
            #expect(whole.sizes.map(\.byteCount) == exact.sizes.map(\.byteCount))
        }
    }

    @Test func namesANaNInTheSample() throws {
        let folder = TemporaryFolder()
        var model = TinyModel(type: .f16)
        model.planted = ["model.layers.0.mlp.up_proj.weight": (0, .nan)]
        try model.write(to: folder.path + "/model")
        let checkpoint = try Checkpoint.open(path: folder.path + "/model")
        let error = checkpointError {
            try checkpoint.packedSizes(
                "model.layers.0.mlp.up_proj.weight", sampledRows: 8, pool: WorkerPool(threadCount: 1))
        }
        #expect(error?.kind == .notFinite)
    }
}

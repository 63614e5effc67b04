#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import ModelFixtures
import Synchronization
import Tensors
import Testing

@testable import Checkpoints

@Suite(.timeLimit(.minutes(20))) struct ModelRewriterTests {
    private let folder = TemporaryFolder()
    private let pool = WorkerPool(threadCount: 2)

    private struct Failure: Error {}

    private func openModel(_ change: (inout TinyModel) -> Void = { _ in }) throws -> Checkpoint {
        var model = TinyModel()
        change(&model)
        try model.write(to: folder.path + "/model")
        return try Checkpoint.open(path: folder.path + "/model")
    }

    private func destination(
        _ name: String = "out", companions: @escaping (FolderWriter) throws -> Void = { _ in },
        started: @escaping (FolderWriter) -> Void = { _ in }
    ) -> ModelRewriter.Destination {
        .init(path: folder.path + "/" + name, overwriting: false, companions: companions, started: started)
    }

    /// Appends a matrix as it is.
    private func copy(_ name: String, _ checkpoint: Checkpoint, _ writer: ModelFolderWriter) throws {
        try writer.append(
            name, type: .f16, shape: checkpoint[name]!.shape, bytes: checkpoint.elements(name, as: .f16, pool: pool))
    }

    @Test func rewritesTheNamedMatricesAndCopiesTheRest() throws {
        let checkpoint = try openModel()
        let named = TinyModel().projections.prefix(3).map(\.name)
        var rewritten: [String] = []
        var progress: [Int] = []
        var target = destination(companions: { try $0.write("hello", to: "extra.txt") })
        target.progress = { done, total in
            progress.append(done)
            #expect(total == 20)
        }
        try ModelRewriter(checkpoint, matrices: named, pool: pool).write(
            to: target,
            rewrite: { name, writer in
                rewritten.append(name)
                let zeros = AlignedBuffer<UInt8>(repeating: 0, count: checkpoint[name]!.byteCount).frozen()
                try writer.append(name, type: .f16, shape: checkpoint[name]!.shape, bytes: zeros)
            },
            finish: { try $0.finish(configuration: checkpoint.configuration) })
        #expect(Set(rewritten) == Set(named))
        #expect(progress == Array(1...20))
        #expect(try folder.text(of: "out/extra.txt") == "hello")
        let written = try Checkpoint.open(path: folder.path + "/out")
        #expect(written.configuration == checkpoint.configuration)
        for tensor in checkpoint.tensors {
            let expected: [UInt8] =
                named.contains(tensor.name)
                ? Array(repeating: 0, count: tensor.byteCount) : Array(try checkpoint.mappedBytes(tensor.name))
            #expect(try Array(written.mappedBytes(tensor.name)) == expected)
        }
    }

    @Test func refusesMatricesThatAreNotThere() throws {
        let checkpoint = try openModel()
        let error = checkpointError { try ModelRewriter(checkpoint, matrices: ["model.absent.weight"], pool: pool) }
        #expect(error?.kind == .missing)
        #expect(error?.subject.contains("model.absent.weight") == true)
    }

    @Test func leavesNothingBehindWhenAClosureThrows() throws {
        let checkpoint = try openModel()
        let rewriter = try ModelRewriter(checkpoint, matrices: [TinyModel().projections[9].name], pool: pool)
        // Whoever keeps the folder, as a handler of interruptions does, must not keep it alive.
        var kept: [FolderWriter] = []
        let finish: (ModelFolderWriter) throws -> Void = { try $0.finish(configuration: checkpoint.configuration) }
        #expect(throws: Failure.self) {
            try rewriter.write(
                to: destination(started: { kept.append($0) }), rewrite: { _, _ in throw Failure() }, finish: finish)
        }
        #expect(throws: Failure.self) {
            try rewriter.write(
                to: destination(companions: { _ in throw Failure() }, started: { kept.append($0) }),
                rewrite: { try copy($0, checkpoint, $1) }, finish: finish)
        }
        #expect(kept.count == 2)
        #expect(folder.entries == ["model"])
    }

    @Test func refusesWhatIsNotFiniteInWhatItCopies() throws {
        let name = "model.layers.0.input_layernorm.weight"
        let checkpoint = try openModel { $0.planted = [name: (index: 3, value: .infinity)] }
        let error = checkpointError {
            try ModelRewriter(checkpoint, matrices: [], pool: pool).write(
                to: destination(), rewrite: { _, _ in }, finish: { try $0.finish(configuration: [:]) })
        }
        #expect(error?.kind == .notFinite)
        #expect(error?.subject.contains(name) == true)
        #expect(folder.entries == ["model"])
    }
}

/// Abandoning a folder while another thread writes to it.
@Suite(.timeLimit(.minutes(20))) struct AbandonedFolderTests {
    private let folder = TemporaryFolder()

    @Test func removesTheFolderUnderAWriter() throws {
        let pool = WorkerPool(threadCount: 2)
        for round in 0..<50 {
            let writer = try FolderWriter(path: folder.path + "/model")
            let failures = Mutex<[CheckpointError]>([])
            pool.forEachChunk(2) { chunk, _ in
                if chunk == 1 {
                    usleep(UInt32(100 * round))
                    return writer.abandon()
                }
                do throws(CheckpointError) {
                    // Until the folder goes away.
                    for index in 0... { try writer.write("text", to: "file-\(index)") }
                } catch {
                    failures.withLock { $0.append(error) }
                }
            }
            #expect(failures.withLock { $0.map(\.kind) } == [.system])
            #expect(checkpointError { try writer.finish() }?.kind == .missing)
            #expect(folder.entries == [])
        }
    }

    @Test func canBeAbandonedBeforeAnythingIsWritten() {
        let error = checkpointError { try FolderWriter(path: folder.path + "/model", started: { $0.abandon() }) }
        #expect(error?.kind == .missing)
        #expect(folder.entries == [])
    }

    @Test func doesNotFinishWhatIsAbandoned() throws {
        let writer = try FolderWriter(path: folder.path + "/model")
        try writer.write("{}", to: "config.json")
        writer.abandon()
        #expect(checkpointError { try writer.finish() }?.subject == "the output folder")
        #expect(folder.entries == [])
    }

    @Test func staysApartFromWhatIsKept() throws {
        let model = folder.makeFolder("model")
        folder.write("{}", to: "model/config.json")
        for (target, kept) in [
            (model, [model]), (model + "/", [model]), (model + "/out", [model]), (model, [model + "/config.json"]),
            (folder.path, [model]), (model + "/../model/out", [model]),
            (model, [model + "/absent/file", model + "/x"]),
        ] {
            let error = checkpointError { try FolderWriter(path: target, overwriting: true, keeping: kept) }
            #expect(error?.kind == .conflict)
            #expect(error?.expected == "a place apart from the model that is read")
        }
        // A name that begins like another one is not inside it.
        let writer = try FolderWriter(path: model + "-2", keeping: [model])
        writer.abandon()
        #expect(folder.entries == ["model"])
    }
}

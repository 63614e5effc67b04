import Checkpoints
import KernelsUnderTest
import ModelFixtures
import OrderedJSON
import Sparse
import Tensors
import TestSupport
import Testing

@testable import Transformer

/// Every family against transformers, whose logits of tiny random models are frozen.
@Suite struct FamilyTests {
    private static let tolerance = 1e-3
    private let pool = WorkerPool(threadCount: 2)

    private struct Opened {
        let configuration: ModelConfiguration
        let weights: DecoderWeights

        init(_ checkpoint: Checkpoint) throws {
            configuration = try ModelConfiguration(checkpoint.configuration)
            weights = try DecoderWeights(
                checkpoint, configuration: configuration, type: .f32, pool: WorkerPool(threadCount: 2))
        }

        func sequence(kernels: Kernels = .best, cache: ElementType = .f32, threads: Int = 2) -> SingleSequence {
            SingleSequence(configuration, weights, cache: cache, kernels: kernels, threads: threads)
        }

        func error(_ prompt: FamilyFixture.Prompt, batch: Int = 256, kernels: Kernels = .best) throws -> Double {
            prompt.relativeError(of: try prompt.logits(sequence(kernels: kernels), batch: batch))
        }
    }

    @Test func everyFamilyHasAFixture() throws {
        let families = try FamilyFixture.all.map { try $0.checkpoint.configuration["model_type"]?.stringValue }
        #expect(Set(families) == Set(Family.all.map(\.name)))
    }

    /// In one batch, token by token, and in batches that cut blocks.
    @Test(arguments: FamilyFixture.all) func matchesTransformers(fixture: FamilyFixture) throws {
        let opened = try Opened(fixture.checkpoint)
        for prompt in try fixture.prompts {
            for batch in [256, 1, 7] {
                let error = try opened.error(prompt, batch: batch)
                #expect(error <= Self.tolerance, "\(prompt.ids.count) tokens by \(batch)")
            }
        }
    }

    @Test(arguments: FamilyFixture.all) func choosesTheSameTokens(fixture: FamilyFixture) throws {
        let opened = try Opened(fixture.checkpoint)
        for prompt in try fixture.prompts {
            let sequence = opened.sequence()
            var logits = try #require(try prompt.logits(sequence, batch: 256).last)
            var greedy: [Int32] = []
            while greedy.count < prompt.greedy.count {
                let token = Int32(logits.indices.max { logits[$0] < logits[$1] }!)
                greedy.append(token)
                try sequence.run([token])
                logits = try sequence.logits([0])[0]
            }
            #expect(greedy == prompt.greedy)
        }
    }

    @Test(arguments: FamilyFixture.all) func matchesOnEveryInstructionSet(fixture: FamilyFixture) throws {
        let opened = try Opened(fixture.checkpoint)
        let prompt = try fixture.prompts[1]
        for kernels in Kernels.underTest {
            for batch in [256, 1] {
                let error = try opened.error(prompt, batch: batch, kernels: kernels)
                #expect(error <= Self.tolerance, "\(kernels.instructionSet)")
            }
        }
    }

    @Test(arguments: FamilyFixture.all) func doesNotDependOnThreads(fixture: FamilyFixture) throws {
        let opened = try Opened(fixture.checkpoint)
        let prompt = try fixture.prompts[1]
        let first = try prompt.logits(opened.sequence(threads: 1), batch: 5)
        for threads in [2, 5] {
            let found = try prompt.logits(opened.sequence(threads: threads), batch: 5)
            #expect(found == first)
        }
    }

    /// The matrices that are packed are those of the layout, and the folder opens under the same names.
    @Test(arguments: FamilyFixture.all, [FormatChoice.smallest, .fixed(.tiledBitmap)])
    func staysTheSamePacked(fixture: FamilyFixture, choice: FormatChoice) throws {
        let checkpoint = try fixture.checkpoint
        let layout = DecoderLayout(try ModelConfiguration(checkpoint.configuration))
        let folder = ScratchFolder()
        let packer = ModelPacker(checkpoint, matrices: layout.projections.map(\.name), pool: pool)
        let destination = ModelRewriter.Destination(
            path: folder.path("packed"), overwriting: false, companions: { _ in })
        _ = try packer.pack(to: destination, choice: choice)
        let packed = try Checkpoint.open(path: folder.path("packed"))
        try layout.check(packed, packed: PackedWeights(packed))
        let opened = try Opened(packed)
        for prompt in try fixture.prompts {
            let error = try opened.error(prompt)
            #expect(error <= Self.tolerance)
        }
    }

    /// What a pruned folder is: every matrix written anew, everything else copied.
    @Test(arguments: FamilyFixture.all) func staysTheSameRewritten(fixture: FamilyFixture) throws {
        let checkpoint = try fixture.checkpoint
        let layout = DecoderLayout(try ModelConfiguration(checkpoint.configuration))
        let folder = ScratchFolder()
        try ModelRewriter(checkpoint, matrices: layout.projections.map(\.name), pool: pool).write(
            to: ModelRewriter.Destination(path: folder.path("copy"), overwriting: false, companions: { _ in }),
            rewrite: { name, writer in
                let matrix = try checkpoint.sixteenBitMatrix(name, pool: pool)
                try writer.append(
                    name, type: matrix.type.elementType, shape: [matrix.rows, matrix.columns],
                    bytes: matrix.elements.bytes)
            }, finish: { try $0.finish(configuration: checkpoint.configuration) })
        let copy = try Checkpoint.open(path: folder.path("copy"))
        #expect(Set(copy.tensors.map(\.name)) == Set(checkpoint.tensors.map(\.name)))
        let opened = try Opened(copy)
        for prompt in try fixture.prompts {
            let error = try opened.error(prompt)
            #expect(error <= Self.tolerance)
        }
    }

    /// The layout lists what the files hold, no tensor more and none less, and so does inspection, which reads it.
    @Test(arguments: FamilyFixture.all) func layoutListsWhatIsThere(fixture: FamilyFixture) throws {
        let checkpoint = try fixture.checkpoint
        let configuration = try ModelConfiguration(checkpoint.configuration)
        let layout = DecoderLayout(configuration)
        try layout.check(checkpoint, packed: nil)
        let names = layout.projections.map(\.name) + layout.others.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(names) == Set(checkpoint.tensors.map(\.name)))
        #expect(layout.parameterCount == checkpoint.tensors.reduce(0) { $0 + $1.elementCount })
        let byLayer = (0..<configuration.layerCount).flatMap { configuration.family.projections(layer: $0) }
        #expect(byLayer == layout.projections.map(\.name))
        #expect(layout.projections.count == configuration.layerCount * (configuration.activation.isGated ? 7 : 6))
    }

    /// Each tensor is needed: without it the model does not open, and changed it gives other logits.
    @Test(arguments: FamilyFixture.all) func dependsOnEveryTensor(fixture: FamilyFixture) throws {
        let checkpoint = try fixture.checkpoint
        let prompt = try fixture.prompts[1]
        let names = checkpoint.tensors.map(\.name)
        for changed in names where changed.contains("norm") || changed.contains("bias") || changed.contains("ln_") {
            let folder = ScratchFolder()
            let writer = try ModelFolderWriter(
                path: folder.path("changed"), overwriting: false, keeping: [], names: names)
            for name in names {
                let shape = checkpoint[name]!.shape
                let buffer = AlignedBuffer<Float>(repeating: 0, count: shape.reduce(1, *))
                try checkpoint.read(name, as: .f32, into: UnsafeMutableRawBufferPointer(buffer.elements))
                // Not all by the same: layer norms do not see that.
                if name == changed {
                    for index in buffer.elements.indices { buffer.elements[index] += index % 2 == 0 ? 0.5 : -0.5 }
                }
                try writer.append(name, type: .f32, shape: shape, bytes: buffer.frozen().bytes)
            }
            try writer.finish(configuration: checkpoint.configuration)
            let error = try Opened(Checkpoint.open(path: folder.path("changed"))).error(prompt)
            // A key's bias adds the same to all scores of a query, unless keys are rotated.
            let rotates = try ModelConfiguration(checkpoint.configuration).rotary != nil
            let matters = rotates || !changed.hasSuffix("k_proj.bias")
            #expect(error > (matters ? 10 * Self.tolerance : -1), "\(changed)")
        }
    }

    /// Older files of models that see call their language model's tensors otherwise than newer ones do.
    @Test func opensTheTextPartOfModelsThatSee() throws {
        let fixture = FamilyFixture("gemma3-vision")
        let checkpoint = try fixture.checkpoint
        #expect(!checkpoint.tensors.contains { $0.name.contains("vision") || $0.name.contains("projector") })
        let folder = ScratchFolder()
        let names = checkpoint.tensors.map(\.name)
        func newer(_ name: String) -> String { "model.language_model." + name.dropFirst("model.".count) }
        let writer = try ModelFolderWriter(
            path: folder.path("newer"), overwriting: false, keeping: [], names: names.map(newer))
        for name in names {
            let bytes = try checkpoint.elements(name, as: .f16, pool: pool)
            try writer.append(newer(name), type: .f16, shape: checkpoint[name]!.shape, bytes: bytes)
        }
        try writer.finish(configuration: ["model_type": "gemma3", "text_config": checkpoint.configuration])
        let opened = try Opened(Checkpoint.open(path: folder.path("newer")))
        let error = try opened.error(fixture.prompts[1])
        #expect(error <= Self.tolerance)
    }

    @Test func refusesPositionsThatWereNotLearned() throws {
        let opened = try Opened(FamilyFixture("gpt2").checkpoint)
        let sequence = opened.sequence()
        try sequence.run([Int32](repeating: 3, count: 40))
        #expect(throws: ModelError("position", expected: "one of 40 that were learned", found: "40")) {
            try sequence.run([3])
        }
    }

    /// Within the context dynamic scaling is none; beyond it, what is cached would have to change with every token.
    @Test func refusesPositionsThatChangeTheOnesBefore() throws {
        let plain = try Opened(FamilyFixture("qwen2").checkpoint)
        var members = try FamilyFixture("qwen2").checkpoint.configuration.objectValue!
        members["rope_parameters"] = nil
        members["rope_scaling"] = ["type": "dynamic", "factor": 4.0]
        members["max_position_embeddings"] = 40
        let configuration = try ModelConfiguration(.object(members))
        let sequence = SingleSequence(configuration, plain.weights)
        let prompt = try FamilyFixture("qwen2").prompts[1]
        #expect(prompt.relativeError(of: try prompt.logits(sequence, batch: 256)) <= Self.tolerance)
        try sequence.run([Int32](repeating: 3, count: 40 - sequence.position))
        let error = ModelError(
            "position", expected: "one of 40 that do not change those before (rope_type dynamic)", found: "40")
        #expect(throws: error) { try sequence.run([3]) }
    }
}

extension FamilyFixture.Prompt {
    /// The largest error of logits, over the largest logit.
    func relativeError(of found: [[Float]]) -> Double {
        let largest = logits.joined().map(abs).max() ?? 0
        return largestDifference(found, logits) / largest
    }

    /// Logits of the tokens that there are some of, the prompt in batches of so many tokens.
    func logits(_ sequence: SingleSequence, batch: Int) throws -> [[Float]] {
        var found: [[Float]] = []
        for start in stride(from: 0, to: ids.count, by: batch) {
            let tokens = start..<min(start + batch, ids.count)
            try sequence.run(Array(ids[tokens]), ofSequence: ids.count)
            found += try sequence.logits(tokens.filter { $0 >= first }.map { $0 - start })
        }
        return found
    }
}

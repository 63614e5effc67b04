import Checkpoints
import ModelFixtures
import Tensors
import Testing

@testable import Transformer

/// GGUF files of every architecture: those that the `gguf` package has written, and ours of the same models.
@Suite struct GGUFFamilyTests {
    private let pool = WorkerPool(threadCount: 2)
    private let scratch = ScratchFolder()

    private func error(_ path: String, _ fixture: FamilyFixture) throws -> Double {
        let checkpoint = try Checkpoint.open(path: path)
        let configuration = try ModelConfiguration(checkpoint.configuration)
        let weights = try DecoderWeights(checkpoint, configuration: configuration, type: .f32, pool: pool)
        return try fixture.prompts.map { prompt in
            prompt.relativeError(of: try prompt.logits(SingleSequence(configuration, weights), batch: 256))
        }.max()!
    }

    @discardableResult
    private func export(
        _ fixture: FamilyFixture, _ change: (inout GGUFTraits) -> Void = { _ in }
    ) throws -> String {
        let checkpoint = try fixture.checkpoint
        var traits = try ModelConfiguration(checkpoint.configuration).ggufTraits()
        change(&traits)
        let tokenizer = GGUFTokenizer(
            model: "gpt2", pre: nil, tokens: (0..<48).map { "t\($0)" }, tokenTypes: [], scores: [], merges: [],
            beginningID: nil, endID: nil, endOfTurnID: nil, unknownID: nil, paddingID: nil, addsBeginning: nil,
            addsEnd: nil, addsSpacePrefix: nil, chatTemplate: nil)
        let path = scratch.path("\(fixture.name).gguf")
        _ = try GGUFExporter(checkpoint, pool: pool).write(
            to: .init(path: path, overwriting: true), name: fixture.name, type: nil, tokenizer: tokenizer,
            traits: traits)
        return path
    }

    @Test(arguments: FamilyFixture.gguf) func readsWhatOthersWrite(fixture: FamilyFixture) throws {
        let error = try error(fixture.ggufPath, fixture)
        #expect(error <= 1e-3)
    }

    /// The same tensors bit by bit, and every entry that the package's file has.
    @Test(arguments: FamilyFixture.gguf) func writesWhatOthersWrite(fixture: FamilyFixture) throws {
        let path = try export(fixture)
        let (ours, theirs) = (try GGUFFile(path: path), try GGUFFile(path: fixture.ggufPath))
        #expect(Set(ours.tensors.keys) == Set(theirs.tensors.keys))
        for (name, tensor) in theirs.tensors {
            let own = try #require(ours.tensors[name])
            #expect(own.dimensions == tensor.dimensions, "\(name)")
            // Vectors are f32 in both; a model of f32 has matrices of f32.
            #expect(own.type == tensor.type, "\(name)")
            let (first, second) = (ours.file.bytes[own.byteRange], theirs.file.bytes[tensor.byteRange])
            #expect(Array(first) == Array(second), "\(name)")
        }
        for (key, value) in theirs.metadata where key.contains(".") && !key.hasPrefix("general.") {
            let own = ours.metadata[key]
            if let number = value.doubleValue {
                let difference = abs((own?.doubleValue ?? .nan) - number)
                #expect(difference <= 1e-6 * abs(number), "\(key)")
            } else {
                #expect(own?.stringValue == value.stringValue && own != nil, "\(key)")
            }
        }
        let error = try error(path, fixture)
        #expect(error <= 1e-3)
    }

    /// What has been read from a GGUF file becomes the same file, and a folder of the same model.
    @Test(arguments: FamilyFixture.gguf) func goesBackAndForth(fixture: FamilyFixture) throws {
        let checkpoint = try Checkpoint.open(path: fixture.ggufPath)
        let layout = DecoderLayout(try ModelConfiguration(checkpoint.configuration))
        try layout.check(checkpoint, packed: nil)
        let exporter = try ModelExporter(checkpoint, matrices: layout.projections.map(\.name), pool: pool)
        _ = try exporter.writeSafetensors(
            to: .init(path: scratch.path("folder"), overwriting: false, companions: { _ in }), type: nil)
        let error = try error(scratch.path("folder"), fixture)
        #expect(error <= 1e-3)
    }

    private func sentence(_ fixture: String, _ change: (inout GGUFTraits) -> Void = { _ in }) -> String {
        do {
            try export(FamilyFixture(fixture), change)
            return "written"
        } catch {
            return "\(error)"
        }
    }

    @Test func refusesWhatLlamaCppDoesNotDo() throws {
        let known = "expected llama or mistral or qwen2 or qwen3 or smollm3 or phi3 or gemma2 or gemma3_text or gpt2"
        #expect(sentence("opt").contains("the model's type: \(known) for a GGUF file, found \"opt\""))
        #expect(
            sentence("mistral").contains(
                "expected all of the context in every layer for a GGUF file of type llama, found a window of 40"))
        #expect(
            sentence("gpt2-relu").contains(
                "the MLP's activation: expected \"gelu_new\" for a GGUF file of type gpt2, found \"relu\""))
        #expect(sentence("qwen3-yarn").contains("to whole pairs for a GGUF file, found truncate false"))
        let factors = sentence("qwen2") { $0.rotary?.scaling = .factors([1, 1, 1, 1]) }
        #expect(
            factors.contains(
                "the rotary scaling: expected one of none, linear, yarn for a GGUF file of type qwen2, found factors"))
        let window = sentence("phi3") { $0.attention.windows = [7, 7] }
        #expect(window == "written")
        let windowed = try Checkpoint.open(path: scratch.path("phi3.gguf")).configuration
        #expect(try ModelConfiguration(windowed).window(layer: 1) == 7)
    }

    /// What llama.cpp's decoders of Gemma know by themselves.
    @Test func refusesOtherGemmas() {
        let gemma2 = sentence("gemma2")
        #expect(
            gemma2.contains(
                "query_pre_attn_scalar: expected 12, which llama.cpp takes for a GGUF file of type gemma2, found 20"))
        let halves = sentence("gemma3")
        #expect(halves.contains("one window in all layers but the last of every 6 for a GGUF file of type gemma3"))
        #expect(halves.contains("found one in 1 of 2"))
        let sizes = sentence("gemma2-plain") { $0.attention.windows[2] = 6 }
        #expect(sizes.contains("the last of every 2 for a GGUF file of type gemma2, found windows of [5, 6] tokens"))
        let none = sentence("gemma2-plain") { $0.attention.windows = [nil, nil, nil] }
        #expect(none.contains("found one in 0 of 3"))
        // Gemma 3's decoder knows that.
        let without = sentence("gemma3-plain") { $0.attention.windows = Array(repeating: nil, count: 7) }
        #expect(without == "written")
        let base = sentence("gemma3-plain") { $0.attention.windowRotary?.base = 500 }
        #expect(base.contains("the rotation of layers with a window: expected the base 10000.0, not scaled"))
        #expect(base.contains("found the base 500.0, scaling none"))
        let yarn = sentence("gemma2-plain") {
            $0.rotary?.scaling = .yarn(
                factor: 4, originalContext: 16, fastTurns: 8, slowTurns: 2, attentionFactor: 1)
        }
        #expect(yarn.contains("the rotary scaling: expected one of none, linear for a GGUF file of type gemma2"))
        let uncapped = sentence("gemma2-plain") { $0.attention.cap = nil }
        #expect(uncapped.contains("expected one of attention and one of logits for a GGUF file of type gemma2"))
        #expect(uncapped.contains("found of attention none, of logits 1.0"))
        let capped = sentence("gemma3-plain") { $0.attention.cap = 3 }
        #expect(capped.contains("the soft caps: expected none of attention for a GGUF file of type gemma3"))
        let untied = sentence("gemma2-plain") { $0.tiesHead = false }
        #expect(untied.contains("the model's head: expected the embedding table"))
        // The largest are scaled by another rule.
        let largest = sentence("gemma2-plain") {
            ($0.sizes.layers, $0.sizes.hidden) = (46, 18)
            $0.attention.scale = 1 / 3
        }
        #expect(largest == "written")
    }

    @Test func refusesOtherPatternsOfRotation() {
        let other = sentence("smollm3")
        #expect(
            other.contains(
                "the layers that rotate: expected all but the last of every 4 for a GGUF file of type smollm3, "
                    + "found none in layers [1], from 0"))
        let llama = sentence("llama-biases") { $0.attention.rotates[0] = false }
        #expect(llama.contains("the layers that rotate: expected all for a GGUF file of type llama"))
        let windowed = sentence("smollm3-plain") { $0.attention.windows[3] = 7 }
        #expect(windowed.contains("found a window of 7 tokens"))
    }

    /// Factors that llama.cpp multiplies with its own.
    @Test(arguments: [0.8, 1.3]) func keepsAttentionFactors(factor: Double) throws {
        let path = try export(FamilyFixture("llama-yarn")) {
            $0.rotary?.scaling = .yarn(
                factor: 4, originalContext: 16, fastTurns: 8, slowTurns: 2, attentionFactor: factor)
        }
        let rotary = try ModelConfiguration(Checkpoint.open(path: path).configuration).rotary
        guard case .yarn(let yarn) = rotary?.scaling else {
            Issue.record("no YaRN")
            return
        }
        #expect(abs(yarn.attentionFactor - factor) < 1e-6)
        #expect(yarn.fastTurns == 8 && yarn.slowTurns == 2 && yarn.originalContext == 16 && yarn.factor == 4)
    }
}

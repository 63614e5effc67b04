import Checkpoints
import ModelFixtures
import OrderedJSON
import Tensors
import Testing

/// Exports of families whose files hold tensors fused or transposed: what comes out is what transformers wrote.
@Suite struct FusedExportTests {
    private let scratch = ScratchFolder()
    private let pool = WorkerPool(threadCount: 1)

    private func destination(_ name: String) -> ModelRewriter.Destination {
        ModelRewriter.Destination(path: scratch.path(name), overwriting: false, companions: { _ in })
    }

    private func contents(_ path: String) throws -> [String: (shape: [Int], bytes: [UInt8])] {
        let file = try SafetensorsFile(path: path + "/model.safetensors")
        return Dictionary(
            uniqueKeysWithValues: file.tensors.values.map {
                ($0.name, ($0.shape, Array(file.file.bytes[$0.byteRange].buffer)))
            })
    }

    private func expectEqual(_ folder: String, _ fixture: FamilyFixture) throws {
        let (before, after) = (try contents(fixture.path), try contents(scratch.path(folder)))
        // Buffers of old files, which are no weights, are left out, and what a model sees with.
        let buffers = before.keys.filter { name in
            name.hasSuffix(".attn.bias") || name.hasSuffix(".attn.masked_bias") || name.hasPrefix("vision_tower.")
                || name.hasPrefix("multi_modal_projector.")
        }
        #expect(after.count == before.count - buffers.count)
        for (name, tensor) in before where !buffers.contains(name) {
            // Files of a model without its head lack what the names begin with otherwise.
            let plain = name.hasPrefix("language_model.") ? String(name.dropFirst("language_model.".count)) : name
            let found = try #require(["", "model.", "transformer."].lazy.compactMap { after[$0 + plain] }.first)
            #expect(found.shape == tensor.shape && found.bytes == tensor.bytes, "\(name)")
        }
    }

    @Test(arguments: FamilyFixture.all) func writesWhatTransformersWrote(fixture: FamilyFixture) throws {
        let checkpoint = try fixture.checkpoint
        _ = try ModelExporter(checkpoint, matrices: [], pool: pool)
            .writeSafetensors(to: destination("exported"), type: nil)
        try expectEqual("exported", fixture)
    }

    /// Packed models hold plain matrices.
    @Test(arguments: ["gpt2", "phi3"]) func writesItFromAPackedModel(name: String) throws {
        let fixture = FamilyFixture(name)
        let checkpoint = try fixture.checkpoint
        let matrices = checkpoint.tensors.map(\.name).filter { name in
            ["q_proj", "k_proj", "gate_proj", "fc_in", "out_proj"].contains { name.hasSuffix("\($0).weight") }
        }
        #expect(!matrices.isEmpty)
        _ = try ModelPacker(checkpoint, matrices: matrices, pool: pool)
            .pack(to: destination("packed"), choice: .fixed(.tiledBitmap))
        let packed = try Checkpoint.open(path: scratch.path("packed"))
        _ = try ModelExporter(packed, matrices: matrices, pool: pool)
            .writeSafetensors(to: destination("exported"), type: .f16)
        _ = try ModelExporter(checkpoint, matrices: [], pool: pool)
            .writeSafetensors(to: destination("expected"), type: .f16)
        let (found, expected) = (try contents(scratch.path("exported")), try contents(scratch.path("expected")))
        #expect(Set(found.keys) == Set(expected.keys))
        for (name, tensor) in expected {
            #expect(found[name]?.shape == tensor.shape && found[name]?.bytes == tensor.bytes, "\(name)")
        }
    }
}

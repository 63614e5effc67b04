import CUDA
import GPUCases
import ModelFixtures
import Tensors
import Testing
import TestSupport
import Transformer

/// What a GPU refuses, in a sentence.
@Suite struct CUDABackendErrorTests {
    private static func error(_ open: OpenModel, memoryBytes: Int = 1 << 30) throws -> ModelError? {
        try TestedGPU.run(on: .emulator(memoryBytes: memoryBytes)) { gpu in
            do {
                _ = try CUDABackendTests.gpuDecoder(open, on: gpu)
                return nil
            } catch let error as ModelError {
                return error
            }
        }
    }

    @Test func weightsBeyondF16() throws {
        var model = TinyModel(type: .f32)
        model.planted = ["model.layers.1.mlp.up_proj.weight": (3 * 64 + 2, 70_000)]
        let open = try OpenModel(model)
        #expect(
            try Self.error(open)?.description
                == "model.layers.1.mlp.up_proj.weight: expected weights that f16 can hold, "
                + "found 70000.0 at row 3, column 2")
    }

    @Test func headsBeyondTheKernels() throws {
        var model = TinyModel()
        model.headSize = 258
        #expect(
            try Self.error(OpenModel(model))?.description
                == "the heads' size for a GPU: expected at most 256, found 258")
    }

    @Test func aFullMemory() throws {
        let error = try #require(try Self.error(OpenModel(TinyModel()), memoryBytes: 64 << 10))
        #expect(error.description.hasPrefix("the GPU's memory is full: asked for "))
    }

    @Test func aTokenOutsideTheVocabulary() throws {
        let open = try OpenModel(TinyModel())
        try TestedGPU.run { gpu in
            let decoder = try CUDABackendTests.gpuDecoder(open, on: gpu)
            var batch = Batch()
            batch.append(tokens: [-1], firstPosition: 0, blocks: [0] as [Int32])
            #expect(throws: ModelError.self) { try decoder.forward(batch) }
        }
    }
}

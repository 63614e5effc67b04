import CUDA
import CUDAKernels
import GPUCases
import ModelFixtures
import Sparse
import Tensors
import Testing
import TestSupport
import Transformer

/// The decoder on an emulated GPU against the one on a CPU.
@Suite struct CUDABackendTests {
    /// The largest difference of logits, whose largest is 3 to 7: activations have 11 bits on a GPU and 24 on a CPU,
    /// and float32 weights are rounded to f16 (0.005 is found with those, 0.003 without).
    static let tolerance = 0.008
    static let blockCount = 24

    /// How a model is stored, and so which layouts it takes on a GPU.
    enum Weights: CaseIterable {
        case dense, halfZeros, manyZeros, tiledCSL, tiledBitmap, slicedEllpack, integers, float32

        func open() throws -> OpenModel {
            var model = TinyModel(type: self == .float32 ? .f32 : .f16)
            switch self {
            case .dense, .float32: return try OpenModel(model)
            case .halfZeros:
                model.sparsity = 0.5
                return try OpenModel(model)
            case .manyZeros:
                model.sparsity = 0.8
                return try OpenModel(model)
            default: model.sparsity = 0.7
            }
            return switch self {
            case .tiledCSL: try OpenModel(model, packing: .fixed(.tiledCSL))
            case .tiledBitmap: try OpenModel(model, packing: .fixed(.tiledBitmap))
            case .slicedEllpack: try OpenModel(model, packing: .fixed(.slicedEllpack))
            default:
                try OpenModel(
                    model, packing: .fixed(.tiledBitmap), values: .quantized(.i16, .columns128))
            }
        }
    }

    static func cpuDecoder(_ open: OpenModel) -> Decoder {
        Decoder(
            configuration: open.configuration,
            backend: CPUBackend(
                configuration: open.configuration, weights: open.weights,
                cache: KeyValueCache(configuration: open.configuration, blockCount: blockCount, element: .f16),
                pool: WorkerPool(threadCount: 1), maximumBatchTokens: 64))
    }

    static func gpuBackend(
        _ open: OpenModel, on gpu: TestedGPU, recordsSteps: Bool = true
    ) throws(ModelError) -> CUDABackend {
        try CUDABackend(
            configuration: open.configuration, weights: open.weights, library: gpu.library, blockCount: blockCount,
            pool: WorkerPool(threadCount: 1), maximumBatchTokens: 64, recordsSteps: recordsSteps)
    }

    static func gpuDecoder(
        _ open: OpenModel, on gpu: TestedGPU, recordsSteps: Bool = true
    ) throws(ModelError) -> Decoder {
        Decoder(
            configuration: open.configuration, backend: try gpuBackend(open, on: gpu, recordsSteps: recordsSteps))
    }

    /// A generation: its tokens, and the logits that each was chosen by.
    struct Text: Equatable {
        var tokens: [Int32] = []
        var logits: [[Float]] = []
    }

    /// Continues `prompt` by the tokens of the largest logits.
    static func generate(_ count: Int, after prompt: [Int32], _ decoder: Decoder) throws -> Text {
        let blocks = (0..<Int32(blockCount)).reversed()
        var text = Text()
        var batch = Batch()
        var position = 0
        var next = prompt[...]
        while text.tokens.count < count {
            while !next.isEmpty {
                let piece = next.prefix(decoder.maximumBatchTokens)
                batch.removeAll()
                batch.append(tokens: piece, firstPosition: position, blocks: blocks)
                try decoder.forward(batch)
                position += piece.count
                next = next.dropFirst(piece.count)
            }
            let place = batch.tokens.count - 1
            let chosen = try decoder.greedyToken(after: place)
            let logits = Array(try decoder.logits(ofTokens: [place]))
            let largest = Int32(logits.firstIndex(of: logits.max()!)!)
            #expect(chosen ?? largest == largest)
            text.tokens.append(largest)
            text.logits.append(logits)
            next = [largest]
        }
        return text
    }

    private static func prompt(_ count: Int) -> [Int32] { TinyModel().randomTokens(count, seed: 5) }

    /// A prompt that is longer than a batch and than a tile of attention, then steps.
    @Test(arguments: Weights.allCases) func writesWhatTheCPUWrites(weights: Weights) throws {
        let open = try weights.open()
        let expected = try Self.generate(8, after: Self.prompt(75), Self.cpuDecoder(open))
        let found = try TestedGPU.run { gpu in
            try Self.generate(8, after: Self.prompt(75), Self.gpuDecoder(open, on: gpu))
        }
        #expect(found.tokens == expected.tokens)
        #expect(largestDifference(found.logits, expected.logits.map { $0.map(Double.init) }) <= Self.tolerance)
    }

    /// A prompt long enough for dense products by a library, and the same without one.
    @Test(arguments: [Weights.dense, .halfZeros, .manyZeros]) func longPromptsAreTheSame(weights: Weights) throws {
        let open = try weights.open()
        let prompt = Self.prompt(LongProducts.leastTokens + 3)
        let expected = try Self.generate(2, after: prompt, Self.cpuDecoder(open))
        var loads = 0
        let found = try TestedGPU.run { gpu in
            let backend = try CUDABackend(
                configuration: open.configuration, weights: open.weights, library: gpu.library,
                blockCount: Self.blockCount, pool: WorkerPool(threadCount: 1), maximumBatchTokens: prompt.count,
                cublas: { stream in
                    loads += 1
                    return try? CUBLAS(table: LibraryFakes.cublas, on: stream)
                })
            return try Self.generate(2, after: prompt, Decoder(configuration: open.configuration, backend: backend))
        }
        #expect(loads == 1)
        #expect(found.tokens == expected.tokens)
        #expect(largestDifference(found.logits, expected.logits.map { $0.map(Double.init) }) <= Self.tolerance)
    }

    /// bf16 has 8 bits: logits are further off.
    @Test func takesBF16() throws {
        let open = try OpenModel(TinyModel(type: .bf16))
        let expected = try Self.generate(1, after: Self.prompt(20), Self.cpuDecoder(open))
        let found = try TestedGPU.run { gpu in
            try Self.generate(1, after: Self.prompt(20), Self.gpuDecoder(open, on: gpu))
        }
        #expect(largestDifference(found.logits, expected.logits.map { $0.map(Double.init) }) <= 8 * Self.tolerance)
    }

    /// Whatever the order of threads and blocks; recorded or step by step.
    @Test func everyRunGivesTheSameBits() throws {
        let open = try Weights.manyZeros.open()
        let expected = try TestedGPU.run { gpu in
            try Self.generate(4, after: Self.prompt(40), Self.gpuDecoder(open, on: gpu))
        }
        for (seed, recordsSteps) in [(0, false), (1, true), (2, false)] as [(UInt64, Bool)] {
            let found = try TestedGPU.run(on: .emulator(seed: seed)) { gpu in
                try Self.generate(
                    4, after: Self.prompt(40), Self.gpuDecoder(open, on: gpu, recordsSteps: recordsSteps))
            }
            #expect(found == expected, "seed \(seed), recorded: \(recordsSteps)")
        }
    }

    /// Whatever a family's decoder does that llama's does not: prompts in pieces, recorded steps, several sequences.
    @Test(arguments: FamilyFixture.all)
    func everyFamilyWritesWhatTheCPUWrites(fixture: FamilyFixture) throws {
        let open = try OpenModel(path: fixture.path, type: .f16, folder: ScratchFolder())
        for prompt in try fixture.prompts.map(\.ids) {
            let expected = try Self.generate(8, after: prompt, Self.cpuDecoder(open))
            let found = try TestedGPU.run { gpu in try Self.generate(8, after: prompt, Self.gpuDecoder(open, on: gpu)) }
            #expect(found.tokens == expected.tokens)
            // 0.003 of the largest logit is found, with random biases and norms.
            let largest = expected.logits.joined().reduce(0) { max($0, abs($1)) }
            let difference = largestDifference(found.logits, expected.logits.map { $0.map(Double.init) })
            #expect(difference <= 0.004 * Double(largest))
        }
    }

    /// Steps are recorded anew when the context grows beyond what attention was cut for.
    @Test func stepsGoOnBeyondTheRecordedContext() throws {
        let open = try Weights.dense.open()
        let expected = try Self.generate(6, after: Self.prompt(253), Self.cpuDecoder(open))
        let found = try TestedGPU.run { gpu in
            let backend = try Self.gpuBackend(open, on: gpu)
            let decoder = Decoder(configuration: open.configuration, backend: backend)
            let text = try Self.generate(6, after: Self.prompt(253), decoder)
            #expect(backend.recordedStepCount == 2)
            return text
        }
        #expect(found.tokens == expected.tokens)
        #expect(largestDifference(found.logits, expected.logits.map { $0.map(Double.init) }) <= Self.tolerance)
    }

    /// Prompts and steps of several sequences in one batch, then steps alone.
    @Test func sequencesShareBatches() throws {
        let open = try Weights.halfZeros.open()
        let schedule = [[5, 33, 17, 1], [1, 1, 1, 1], [0, 1, 20, 1], [1, 1, 1, 1], [1, 0, 1, 0]]
        let expected = try Self.run(schedule, Self.cpuDecoder(open))
        let found = try TestedGPU.run { try Self.run(schedule, Self.gpuDecoder(open, on: $0)) }
        #expect(largestDifference(found, expected.map { $0.map(Double.init) }) <= Self.tolerance)
    }

    /// The logits after every run of every batch.
    private static func run(_ schedule: [[Int]], _ decoder: Decoder) throws -> [[Float]] {
        var positions = [0, 0, 0, 0]
        var rows: [[Float]] = []
        for counts in schedule {
            var batch = Batch()
            for (index, count) in counts.enumerated() where count > 0 {
                let tokens = TinyModel().randomTokens(100, seed: UInt64(index))
                let blocks = (0..<6).map { Int32($0 * 4 + index) }
                batch.append(
                    tokens: tokens[positions[index]..<positions[index] + count], firstPosition: positions[index],
                    blocks: blocks)
                positions[index] += count
            }
            try decoder.forward(batch)
            let places = batch.runs.map { $0.tokens.upperBound - 1 }
            let logits = Array(try decoder.logits(ofTokens: places))
            let width = decoder.configuration.vocabularySize
            rows += places.indices.map { Array(logits[$0 * width..<($0 + 1) * width]) }
        }
        return rows
    }
}

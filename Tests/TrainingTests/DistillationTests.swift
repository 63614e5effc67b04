import Checkpoints
import KernelsUnderTest
import LinearAlgebra
import ModelFixtures
import Sparse
import Tensors
import TestSupport
import Training
import Transformer
import Testing

@Suite struct DistillationTests {
    private let scratch = ScratchFolder()

    /// A dense model and the same with half of its weights zero.
    private func models() throws -> (dense: Checkpoint, pruned: Checkpoint, configuration: ModelConfiguration) {
        try TinyModel(type: .f32).write(to: scratch.path("dense"))
        try TinyModel(type: .f32, sparsity: 0.5).write(to: scratch.path("pruned"))
        let dense = try Checkpoint.open(path: scratch.path("dense"))
        return (
            dense, try Checkpoint.open(path: scratch.path("pruned")), try ModelConfiguration(dense.configuration)
        )
    }

    private func layers(_ checkpoint: Checkpoint, _ configuration: ModelConfiguration) throws -> [LayerWeights] {
        try (0..<configuration.layerCount).map {
            try LayerWeights(checkpoint, configuration: configuration, layer: $0)
        }
    }

    private func tokens(_ count: Int, _ length: Int, _ configuration: ModelConfiguration) -> [[Int32]] {
        var generator = SplitMix64(seed: 9)
        return (0..<count).map { _ in
            (0..<length).map { _ in Int32.random(in: 0..<Int32(configuration.vocabularySize), using: &generator) }
        }
    }

    /// The dense model's end, and the width of the streams that go into it.
    private func head() throws -> (head: DistillationHead, width: Int) {
        let (dense, _, configuration) = try models()
        let forward = LayerForward(
            configuration, length: 5, arithmetic: Arithmetic(pool: WorkerPool(threadCount: 2)))
        return (try DistillationHead(dense, forward: forward), configuration.hiddenSize)
    }

    private func stream(_ tokens: Int, _ width: Int, seed: UInt64) -> Matrix {
        var generator = SplitMix64(seed: seed)
        return Matrix(
            rows: tokens, columns: width,
            (0..<tokens * width).map { _ in Float.random(in: -1...1, using: &generator) })
    }

    /// The divergence by its formula in double precision, and its derivative by differences.
    @Test func lossIsTheFormula() throws {
        let (head, width) = try head()
        let (student, teacher) = (stream(70, width, seed: 3), stream(70, width, seed: 5))
        let gradient = Matrix(uninitializedRows: 70, columns: width)
        let loss = head.loss(student: student, teacher: teacher, gradient: gradient)
        #expect(abs(head.loss(student: student, teacher: teacher) - loss) <= 1e-12)
        #expect(loss > 0)
        let none = head.loss(student: teacher, teacher: teacher)
        #expect(abs(none) <= 1e-5)
        let length = gradient.elements.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        let before = student.copy()
        func moved(_ factor: Double) -> Double {
            for index in student.elements.indices {
                student.elements[index] = before.elements[index] + Float(factor / length) * gradient.elements[index]
            }
            return head.loss(student: student, teacher: teacher)
        }
        let slope = (moved(0.05) - moved(-0.05)) / 0.1
        #expect(abs(slope - length) <= 0.01 * length, "\(slope), expected \(length)")
    }

    /// The squares of derivatives for drawn tokens are on average what the divergence says that moving streams does.
    @Test func drawnGradientsAreTheFisherInformation() throws {
        let (head, width) = try head()
        // More tokens than the head takes at a time.
        let (tokens, draws) = (200, 200)
        let stream = stream(tokens, width, seed: 4)
        var (sums, squares) = ([Double](repeating: 0, count: width), [Double](repeating: 0, count: width))
        let gradient = Matrix(uninitializedRows: tokens, columns: width)
        for seed in 0..<draws {
            head.drawnGradient(stream, seed: UInt64(seed), into: gradient)
            for token in 0..<tokens {
                for column in 0..<width {
                    let value = Double(gradient[token, column])
                    sums[column] += value
                    squares[column] += value * value
                }
            }
        }
        let again = Matrix(uninitializedRows: tokens, columns: width)
        head.drawnGradient(stream, seed: UInt64(draws - 1), into: again)
        #expect(again.elements.elementsEqual(gradient.elements))
        let count = Double(draws * tokens)
        for column in stride(from: 0, to: width, by: 5) {
            let moved = stream.copy()
            let step: Float = 0.05
            for token in 0..<tokens { moved[token, column] += step }
            let expected = 2 * head.loss(student: moved, teacher: stream) / Double(step * step)
            let found = squares[column] / count
            #expect(abs(found - expected) <= 0.06 * expected, "\(column): \(found), expected \(expected)")
            // Five standard deviations.
            #expect(abs(sums[column] / count) <= 5 * (found / count).squareRoot())
        }
    }

    /// It comes nearer to the teacher on tokens that it learns from, and zeros stay.
    /// With float32 products, and with bf16 ones where there are such.
    @Test(arguments: Kernels.underTest.indices, [Arithmetic.Precision.float32, .bfloat16])
    func learns(kernels: Int, precision: Arithmetic.Precision) throws {
        let kernels = Kernels.underTest[kernels]
        if precision == .bfloat16 && kernels.table.product_bf16 == nil { return }
        let (dense, pruned, configuration) = try models()
        var settings = Distiller.Settings()
        settings.rate = 3e-3
        let distiller = try Distiller(
            student: try layers(pruned, configuration), teacher: dense, configuration: configuration, sequences: 2,
            length: 30,
            settings: settings,
            arithmetic: Arithmetic(pool: WorkerPool(threadCount: 2), kernels: kernels, precision: precision))
        let sequences = tokens(2, 30, configuration)
        let zeros = distiller.layers.map { $0.projections.map { matrix in matrix.elements.map { $0 == 0 } } }
        let probe = try distiller.probe(sequences)
        let first = try distiller.loss(probe)
        for step in 0..<30 {
            let loss = try distiller.step(sequences, of: 30)
            if step == 0 { #expect(abs(loss - first) <= 1e-6 * first) }
        }
        let last = try distiller.loss(probe)
        #expect(last < 0.5 * first, "\(first) -> \(last)")
        for (layer, before) in zip(distiller.layers, zeros) {
            for (matrix, before) in zip(layer.projections, before) {
                #expect(matrix.elements.map { $0 == 0 } == before)
            }
        }
    }

    /// Weights of few bits keep having few bits, and learn nevertheless; what is behind them is part of the state.
    @Test(arguments: [QuantizedCoding.i8, .i4]) func learnsWithValuesOfFewBits(coding: QuantizedCoding) throws {
        let (dense, pruned, configuration) = try models()
        let grid = ValueGrid(coding: coding, group: .columns32)
        var settings = Distiller.Settings()
        settings.rate = 3e-3
        func distiller() throws -> Distiller {
            try Distiller(
                student: try layers(pruned, configuration), values: grid, teacher: dense, configuration: configuration,
                sequences: 2, length: 30, settings: settings, arithmetic: Arithmetic(pool: WorkerPool(threadCount: 2)))
        }
        func elements(_ distiller: Distiller) -> [[Float]] {
            distiller.layers.flatMap { $0.projections.map { matrix in Array(matrix.elements) } }
        }
        let sequences = tokens(2, 30, configuration)
        let (whole, first, second) = (try distiller(), try distiller(), try distiller())
        let zeros = elements(whole).map { $0.map { $0 == 0 } }
        let probe = try whole.probe(sequences)
        let before = try whole.loss(probe)
        for _ in 0..<20 { _ = try whole.step(sequences, of: 20) }
        let after = try whole.loss(probe)
        #expect(after < 0.6 * before, "\(before) -> \(after)")
        for (matrix, zeros) in zip(whole.layers.flatMap(\.projections), zeros) {
            let packed = try QuantizedMatrix(
                DenseMatrix(
                    rows: matrix.rows, columns: matrix.columns, element: .f32,
                    bytes: Storage(Array(matrix.elements)).bytes), coding: coding, group: .columns32)
            #expect(packed.dequantized().elementsEqual(matrix.elements))
            // A weight that rounds to zero may do so again, or not.
            for (element, isZero) in zip(matrix.elements, zeros) where isZero && coding == .i8 { #expect(element == 0) }
        }
        for _ in 0..<8 { _ = try first.step(sequences, of: 20) }
        try first.writeState(path: scratch.path("state"), fingerprint: "it", notes: "8")
        #expect(try second.readState(path: scratch.path("state"), fingerprint: "it") == "8")
        #expect(elements(second) == elements(first))
        for _ in 8..<20 { _ = try second.step(sequences, of: 20) }
        #expect(elements(second) == elements(whole))
    }

    /// Every family's student comes nearer to its teacher: with biases, norms of all kinds, projected embeddings.
    @Test(arguments: FamilyFixture.all) func everyFamilyLearns(fixture: FamilyFixture) throws {
        let dense = try fixture.checkpoint
        let configuration = try ModelConfiguration(dense.configuration)
        let student = try layers(dense, configuration)
        for matrix in student.flatMap(\.projections) {
            for index in stride(from: 0, to: matrix.elements.count, by: 2) { matrix.elements[index] = 0 }
        }
        var settings = Distiller.Settings()
        settings.rate = 3e-3
        let length = min(configuration.maximumContext, 30)
        let distiller = try Distiller(
            student: student, teacher: dense, configuration: configuration, sequences: 2, length: length,
            settings: settings, arithmetic: Arithmetic(pool: WorkerPool(threadCount: 2)))
        let sequences = tokens(2, length, configuration)
        let probe = try distiller.probe(sequences)
        let first = try distiller.loss(probe)
        for _ in 0..<30 { _ = try distiller.step(sequences, of: 30) }
        let last = try distiller.loss(probe)
        #expect(last < 0.5 * first, "\(first) -> \(last)")
        let none = try Distiller(
            student: layers(dense, configuration), teacher: dense, configuration: configuration, sequences: 2,
            length: length, arithmetic: Arithmetic(pool: WorkerPool(threadCount: 2)))
        #expect(abs(try none.loss(try none.probe(sequences))) <= 1e-5)
    }

    @Test func learnsNothingFromItself() throws {
        let (dense, _, configuration) = try models()
        let distiller = try Distiller(
            student: try layers(dense, configuration), teacher: dense, configuration: configuration, sequences: 1,
            length: 20,
            arithmetic: Arithmetic(pool: WorkerPool(threadCount: 2)))
        let loss = try distiller.loss(try distiller.probe(tokens(1, 20, configuration)))
        #expect(abs(loss) <= 1e-5)
    }
}

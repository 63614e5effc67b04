public import Checkpoints
import CKernels
public import LinearAlgebra
import Sparse
import Tensors
import Transformer

/// The end of a model, norm, projection and head, where there are such, and what a student's tokens cost there: the
/// divergence of its distribution of the next token from the teacher's, KL(teacher || student), in nats.
///
/// Logits exist for some tokens at a time only.
public final class DistillationHead {
    let forward: LayerForward
    let arithmetic: Arithmetic
    /// nil where norms stand behind.
    private let norm: LayerWeights.Norm?
    /// `[embeddingSize, hiddenSize]`, and by columns; nil where the head is as wide as the stream.
    private let projection: (rows: Matrix, columns: Matrix)?
    /// `[vocabularySize, embeddingSize]`, and by columns.
    private let table: Matrix
    private let tableColumns: Matrix

    /// Tokens whose logits are held at a time.
    private static let chunk = 128

    /// - Throws: `CheckpointError` for tensors that are missing, misshapen or not finite.
    public init(_ checkpoint: Checkpoint, forward: LayerForward) throws(CheckpointError) {
        let configuration = forward.configuration
        self.forward = forward
        arithmetic = forward.arithmetic
        let family = configuration.family
        if configuration.hasFinalNorm {
            norm = try LayerWeights.Norm(
                reading: family.finalNorm, from: checkpoint, configuration: configuration)
        } else {
            norm = nil
        }
        func both(_ name: String, rows: Int, columns: Int) throws(CheckpointError) -> (rows: Matrix, columns: Matrix) {
            let matrix = try Matrix(reading: name, rows: rows, columns: columns, from: checkpoint)
            let turned = Matrix(uninitializedRows: columns, columns: rows)
            forward.arithmetic.transpose(matrix.slice, into: turned.slice)
            return (matrix, turned)
        }
        (table, tableColumns) = try both(
            configuration.tiesHead ? family.embedding : family.head, rows: configuration.vocabularySize,
            columns: configuration.embeddingSize)
        if configuration.projectsEmbeddings, let name = family.headProjection {
            projection = try both(name, rows: configuration.embeddingSize, columns: configuration.hiddenSize)
        } else {
            projection = nil
        }
    }

    /// The mean divergence over all tokens.
    /// - Parameters:
    ///   - student: residual streams behind the last layer, `[tokens, hiddenSize]`; `teacher` as well.
    ///   - gradient: gets the derivative by `student`; nil if it is not wanted.
    public func loss(student: Matrix, teacher: Matrix, gradient: Matrix? = nil) -> Double {
        let scratch = makeScratch()
        let (studentLogits, teacherLogits) = (makeLogits(), makeLogits())
        var sum = 0.0
        forEachChunk(of: student) { rows in
            let (left, right) = (studentLogits.slice(rows: 0..<rows.count), teacherLogits.slice(rows: 0..<rows.count))
            computeLogits(teacher.slice(rows: rows), scratch, into: right)
            computeLogits(student.slice(rows: rows), scratch, into: left)
            let losses = Matrix(uninitializedRows: rows.count, columns: 1)
            let scale = 1 / Float(student.rows)
            arithmetic.forEachRow(of: left) { row in
                losses.pointer[row] = Float(divergence(left.row(row), right.row(row), scale: scale))
            }
            sum += (0..<rows.count).reduce(0.0) { $0 + Double(losses[$1, 0]) }
            if let gradient { goBack(left, student.slice(rows: rows), scratch, into: gradient.slice(rows: rows)) }
        }
        return sum / Double(student.rows)
    }

    /// Memory for what goes into the head, of a chunk of tokens: behind the norm, and behind the projection.
    typealias Scratch = (normalized: Matrix, projected: Matrix?)

    func makeScratch() -> Scratch {
        (
            Matrix(uninitializedRows: Self.chunk, columns: forward.configuration.hiddenSize),
            projection.map { Matrix(uninitializedRows: Self.chunk, columns: $0.rows.rows) }
        )
    }

    func makeLogits() -> Matrix { Matrix(uninitializedRows: Self.chunk, columns: table.rows) }

    func forEachChunk(of stream: Matrix, _ body: (Range<Int>) -> Void) {
        for first in stride(from: 0, to: stream.rows, by: Self.chunk) {
            body(first..<min(first + Self.chunk, stream.rows))
        }
    }

    /// The logits of a chunk of tokens, before they are capped.
    func computeLogits(_ stream: MatrixSlice, _ scratch: Scratch, into logits: MatrixSlice) {
        let input = scratch.normalized.slice(rows: 0..<stream.rows)
        normalize(stream, into: input)
        guard let projection, let projected = scratch.projected?.slice(rows: 0..<stream.rows) else {
            return arithmetic.multiply(input, transposed: table.slice, into: logits)
        }
        arithmetic.multiply(input, transposed: projection.rows.slice, into: projected)
        arithmetic.multiply(projected, transposed: table.slice, into: logits)
    }

    /// From the derivatives by a chunk's logits to those by its streams.
    func goBack(
        _ logits: MatrixSlice, _ stream: MatrixSlice, _ scratch: Scratch, into gradient: MatrixSlice
    ) {
        let input = scratch.normalized.slice(rows: 0..<stream.rows)
        if let projection, let projected = scratch.projected?.slice(rows: 0..<stream.rows) {
            arithmetic.multiply(logits, transposed: tableColumns.slice, into: projected)
            arithmetic.multiply(projected, transposed: projection.columns.slice, into: input)
        } else {
            arithmetic.multiply(logits, transposed: tableColumns.slice, into: input)
        }
        goBackThroughNorm(stream, outputGradient: input, gradient: gradient)
    }

    private func normalize(_ stream: MatrixSlice, into output: MatrixSlice) {
        if let norm {
            forward.normalize(stream, by: norm, into: output)
        } else {
            arithmetic.copy(stream, into: output)
        }
    }

    private func goBackThroughNorm(_ stream: MatrixSlice, outputGradient: MatrixSlice, gradient: MatrixSlice) {
        guard let norm else { return arithmetic.copy(outputGradient, into: gradient) }
        for row in 0..<gradient.rows { gradient.row(row).update(repeating: 0, count: gradient.columns) }
        forward.goBackThroughNorm(of: stream, by: norm, outputGradient: outputGradient, addingTo: gradient)
    }

    /// One token's divergence. `student` becomes its derivative by the student's logits times `scale`, `teacher` the
    /// teacher's probabilities.
    private func divergence(
        _ student: UnsafeMutablePointer<Float>, _ teacher: UnsafeMutablePointer<Float>, scale: Float
    ) -> Double {
        let count = table.rows
        // Where each is largest: there its probability tells the logarithm of the sum of all exponentials.
        var (studentTop, teacherTop) = (0, 0)
        for index in 1..<max(count, 1) {
            if student[index] > student[studentTop] { studentTop = index }
            if teacher[index] > teacher[teacherTop] { teacherTop = index }
        }
        let slopes = cap(student)
        if let limit = forward.configuration.logitCap { arithmetic.kernels.cap(teacher, count: count, at: limit) }
        defer { slopes?.deallocate() }
        let (studentLogit, teacherLogit) = (Double(student[studentTop]), Double(teacher[teacherTop]))
        let teacherLogits = UnsafeMutablePointer<Float>.allocate(capacity: count)
        defer { teacherLogits.deallocate() }
        teacherLogits.update(from: teacher, count: count)
        let softmax = arithmetic.kernels.table.softmax
        softmax!(teacher, Int64(count), 1)
        var difference = 0.0
        for first in stride(from: 0, to: count, by: 4096) {
            var part: Float = 0
            for index in first..<min(first + 4096, count) {
                part += teacher[index] * (teacherLogits[index] - student[index])
            }
            difference += Double(part)
        }
        softmax!(student, Int64(count), 1)
        let studentSum = studentLogit - logarithm(Double(student[studentTop]))
        let teacherSum = teacherLogit - logarithm(Double(teacher[teacherTop]))
        for index in 0..<count { student[index] = (student[index] - teacher[index]) * scale }
        if let slopes {
            for index in 0..<count { student[index] *= slopes[index] }
        }
        return difference - teacherSum + studentSum
    }

    /// Caps a token's logits where the model does; what that does to the derivatives by them, to be deallocated.
    func cap(_ logits: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Float>? {
        guard let limit = forward.configuration.logitCap else { return nil }
        let slopes = UnsafeMutablePointer<Float>.allocate(capacity: table.rows)
        arithmetic.kernels.cap(logits, count: table.rows, at: limit, slopes: slopes)
        return slopes
    }
}

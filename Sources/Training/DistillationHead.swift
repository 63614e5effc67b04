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
    private let forward: LayerForward
    private let arithmetic: Arithmetic
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
        let (tokens, width) = (student.rows, student.columns)
        func rows(_ columns: Int) -> Matrix { Matrix(uninitializedRows: Self.chunk, columns: columns) }
        let (normalized, studentLogits, teacherLogits) = (rows(width), rows(table.rows), rows(table.rows))
        let projected = projection.map { rows($0.rows.rows) }
        var sum = 0.0
        for first in stride(from: 0, to: tokens, by: Self.chunk) {
            let range = first..<min(first + Self.chunk, tokens)
            let chunk = 0..<range.count
            let input = normalized.slice(rows: chunk)
            let headInput = projected?.slice(rows: chunk) ?? input
            for (stream, logits) in [(teacher, teacherLogits), (student, studentLogits)] {
                normalize(stream.slice(rows: range), into: input)
                if let projection {
                    arithmetic.multiply(input, transposed: projection.rows.slice, into: headInput)
                }
                arithmetic.multiply(headInput, transposed: table.slice, into: logits.slice(rows: chunk))
            }
            let losses = Matrix(uninitializedRows: range.count, columns: 1)
            let slices = (studentLogits.slice, teacherLogits.slice)
            let scale = 1 / Float(tokens)
            arithmetic.forEachRow(of: slices.0.slice(rows: chunk)) { row in
                losses.pointer[row] = Float(divergence(slices.0.row(row), slices.1.row(row), scale: scale))
            }
            sum += chunk.reduce(0.0) { $0 + Double(losses[$1, 0]) }
            guard let gradient else { continue }
            arithmetic.multiply(studentLogits.slice(rows: chunk), transposed: tableColumns.slice, into: headInput)
            if let projection {
                arithmetic.multiply(headInput, transposed: projection.columns.slice, into: input)
            }
            goBackThroughNorm(
                student.slice(rows: range), outputGradient: input, gradient: gradient.slice(rows: range))
        }
        return sum / Double(tokens)
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
        let slopes = cap(student, teacher)
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

    /// Caps logits where the model does; what that does to the derivatives by the student's, to be deallocated.
    private func cap(
        _ student: UnsafeMutablePointer<Float>, _ teacher: UnsafeMutablePointer<Float>
    ) -> UnsafeMutablePointer<Float>? {
        guard let cap = forward.configuration.logitCap else { return nil }
        let count = table.rows
        let slopes = UnsafeMutablePointer<Float>.allocate(capacity: count)
        arithmetic.kernels.cap(teacher, count: count, at: cap)
        arithmetic.kernels.cap(student, count: count, at: cap, slopes: slopes)
        return slopes
    }
}

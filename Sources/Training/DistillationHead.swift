public import Checkpoints
import CKernels
public import LinearAlgebra
import Sparse
import Tensors
import Transformer

/// The end of a model, norm and head, and what a student's tokens cost there: the divergence of its distribution of the
/// next token from the teacher's, KL(teacher || student), in nats.
///
/// Logits exist for some tokens at a time only.
public final class DistillationHead {
    private let forward: LayerForward
    private let arithmetic: Arithmetic
    private let norm: Matrix
    /// `[vocabularySize, hiddenSize]`, and by columns.
    private let table: Matrix
    private let tableColumns: Matrix

    /// Tokens whose logits are held at a time.
    private static let chunk = 128

    /// - Throws: `CheckpointError` for tensors that are missing, misshapen or not finite.
    public init(_ checkpoint: Checkpoint, forward: LayerForward) throws(CheckpointError) {
        let configuration = forward.configuration
        self.forward = forward
        arithmetic = forward.arithmetic
        norm = try Matrix(
            reading: configuration.family.finalNorm, rows: 1, columns: configuration.hiddenSize, from: checkpoint)
        table = try Matrix(
            reading: configuration.tiesHead ? configuration.family.embedding : configuration.family.head,
            rows: configuration.vocabularySize, columns: configuration.hiddenSize, from: checkpoint)
        tableColumns = Matrix(uninitializedRows: table.columns, columns: table.rows)
        arithmetic.transpose(table.slice, into: tableColumns.slice)
    }

    /// The mean divergence over all tokens.
    /// - Parameters:
    ///   - student: residual streams behind the last layer, `[tokens, hiddenSize]`; `teacher` as well.
    ///   - gradient: gets the derivative by `student`; nil if it is not wanted.
    public func loss(student: Matrix, teacher: Matrix, gradient: Matrix? = nil) -> Double {
        let (tokens, width) = (student.rows, student.columns)
        func rows(_ columns: Int) -> Matrix { Matrix(uninitializedRows: Self.chunk, columns: columns) }
        let (normalized, studentLogits, teacherLogits) = (rows(width), rows(table.rows), rows(table.rows))
        var sum = 0.0
        for first in stride(from: 0, to: tokens, by: Self.chunk) {
            let range = first..<min(first + Self.chunk, tokens)
            let chunk = 0..<range.count
            let input = normalized.slice(rows: chunk)
            for (stream, logits) in [(teacher, teacherLogits), (student, studentLogits)] {
                forward.normalize(stream.slice(rows: range), by: LayerWeights.Norm(weight: norm), into: input)
                arithmetic.multiply(input, transposed: table.slice, into: logits.slice(rows: chunk))
            }
            let losses = Matrix(uninitializedRows: range.count, columns: 1)
            let slices = (studentLogits.slice, teacherLogits.slice)
            let scale = 1 / Float(tokens)
            arithmetic.forEachRow(of: slices.0.slice(rows: chunk)) { row in
                losses.pointer[row] = Float(divergence(slices.0.row(row), slices.1.row(row), scale: scale))
            }
            sum += chunk.reduce(0.0) { $0 + Double(losses[$1, 0]) }
            guard let gradient else { continue }
            arithmetic.multiply(studentLogits.slice(rows: chunk), transposed: tableColumns.slice, into: input)
            let (stream, target) = (student.slice(rows: range), gradient.slice(rows: range))
            let table = arithmetic.kernels.table
            arithmetic.forEachRow(of: target) { row in
                target.row(row).update(repeating: 0, count: width)
                table.rms_norm_gradient(
                    stream.row(row), norm.pointer, Int64(width), forward.configuration.normEpsilon, input.row(row),
                    target.row(row))
            }
        }
        return sum / Double(tokens)
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
        return difference - teacherSum + studentSum
    }
}

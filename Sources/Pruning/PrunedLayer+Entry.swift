import Checkpoints
import LinearAlgebra
import Sparse
import Tensors

extension PrunedLayer.Entry {
    /// Puts the stored elements into a matrix of their shape.
    func restore(_ matrix: Matrix) throws(CheckpointError) {
        guard shape == [matrix.rows, matrix.columns], type.widen(bytes, into: matrix.elements) else {
            throw CheckpointError(
                .damaged, path: report.name, subject: "the unfinished run",
                expected: "finite weights of the model's shape", found: "shape \(shape)")
        }
    }

    /// A trained matrix in this one's place.
    func replaced(
        by matrix: Matrix, in checkpoint: Checkpoint, values: ValueGrid?
    ) throws(CheckpointError) -> PrunedLayer.Entry {
        let type = matrix.storedType(of: report.name, in: checkpoint, values: values)
        let bytes = try matrix.narrowed(to: type, name: report.name, path: checkpoint.path)
        return PrunedLayer.Entry(
            report: MatrixReport(
                name: report.name, elementCount: report.elementCount, zeroCount: bytes.zeroCount(type),
                error: report.error,
                seconds: report.seconds), type: type, shape: shape, bytes: bytes)
    }
}

extension Storage<UInt8> {
    /// Zeros among elements of a type.
    func zeroCount(_ type: WeightType) -> Int {
        type == .f32
            ? reinterpreted(as: UInt32.self)!.count { $0 & 0x7FFF_FFFF == 0 }
            : reinterpreted(as: UInt16.self)!.count { $0 & 0x7FFF == 0 }
    }
}

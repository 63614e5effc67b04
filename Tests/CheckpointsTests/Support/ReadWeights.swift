import Checkpoints
import Tensors

extension Checkpoint {
    /// Rows of a weight as Float32.
    func floats(_ name: String, rows: Range<Int>? = nil) throws(CheckpointError) -> [Float] {
        let tensor = self[name]
        let count = (rows?.count ?? tensor?.rows ?? 0) * (tensor?.columns ?? 0)
        let output = AlignedBuffer<Float>(repeating: .nan, count: count)
        try output.withBytes { (bytes) throws(CheckpointError) in try self.read(name, rows: rows, as: .f32, into: bytes)
        }
        return output.array
    }

    /// A whole weight as bits of F16 or BF16.
    func halves(_ name: String, as type: WeightType) throws(CheckpointError) -> [UInt16] {
        let output = AlignedBuffer<UInt16>(repeating: 0, count: self[name]?.elementCount ?? 0)
        try output.withBytes { (bytes) throws(CheckpointError) in try self.read(name, as: type, into: bytes) }
        return output.array
    }
}

import Checkpoints
import Sparse
import Tensors
import Testing

/// A model folder's weights as bits, to compare what one command wrote with what another one read.
struct StoredModel {
    let checkpoint: Checkpoint
    let packed: PackedWeights?

    init(_ path: String) throws {
        checkpoint = try Checkpoint.open(path: path)
        packed = try PackedWeights(checkpoint)
    }

    func bytes(_ name: String) throws -> [UInt8] { Array(try checkpoint.mappedBytes(name)) }

    /// The 16-bit patterns of a matrix, packed or not.
    func patterns(_ name: String) throws -> [UInt16] {
        guard let matrix = try packed?.matrix(name) else {
            let bytes = try checkpoint.mappedBytes(name)
            return Array(try #require(bytes.reinterpreted(as: UInt16.self)))
        }
        switch matrix {
        case .dense(let dense): return Array(try #require(dense.sixteenBitElements))
        case .tiledCSL(let csl): return Array(csl.dense())
        case .slicedEllpack(let ellpack): return Array(ellpack.dense())
        case .tiledBitmap(let bitmap): return Array(bitmap.dense())
        case .quantized(let quantized):
            Issue.record("\(name) has no 16-bit patterns: it is stored as \(quantized.coding)")
            return []
        }
    }
}

import LinearAlgebra
import Sparse
import Transformer

/// Attention of all query heads of one key-value head over one sequence, on one thread.
struct HeadAttention {
    let forward: LayerForward
    let thread: Int

    /// Queries whose scores are in cache together.
    static let block = 128

    init(_ forward: LayerForward, thread: Int) {
        self.forward = forward
        self.thread = thread
    }

    func attend(
        queries: MatrixSlice, keys: MatrixSlice, values: MatrixSlice, keyValueHead: Int, window: Int?,
        into output: MatrixSlice
    ) {
        let configuration = forward.configuration
        let (size, length) = (configuration.headSize, forward.length)
        let group = configuration.headCount / configuration.keyValueHeadCount
        let place = keyValueHead * size..<(keyValueHead + 1) * size
        let headKeys = Matrix(uninitializedRows: length, columns: size)
        let valueColumns = Matrix(uninitializedRows: size, columns: length)
        let (keyRows, valueRows) = (headKeys.slice, valueColumns.slice)
        for token in 0..<length {
            keyRows.row(token).update(from: keys.row(token) + place.lowerBound, count: size)
            let value = values.row(token) + place.lowerBound
            for d in 0..<size { valueRows.row(d)[token] = value[d] }
        }
        let scores = Matrix(uninitializedRows: Self.block, columns: length)
        let scratch = forward.arithmetic.scratch(ofThread: thread)
        for head in keyValueHead * group..<(keyValueHead + 1) * group {
            let columns = head * size..<(head + 1) * size
            for first in stride(from: 0, to: length, by: Self.block) {
                let rows = first..<min(first + Self.block, length)
                let weights = scores.slice(rows: 0..<rows.count)
                forward.arithmetic.multiply(
                    queries.slice(rows: rows, columns: columns), transposed: keyRows, rows: 0..<rows.upperBound,
                    into: weights, scratch: scratch)
                for row in rows { softmax(weights.row(row - first), of: row, window: window) }
                forward.arithmetic.multiply(
                    weights, transposed: valueRows, rows: 0..<size, into: output.slice(rows: rows, columns: columns),
                    scratch: scratch)
            }
        }
    }

    /// What a query times a key is multiplied with.
    var scale: Float { forward.configuration.attentionScale }

    /// The first token that the query of token `row` sees.
    func firstSeen(by row: Int, window: Int?) -> Int { window.map { max(row + 1 - $0, 0) } ?? 0 }

    /// Scores of the tokens that a query sees become weights, all others zero.
    /// - Parameter slopes: where scores are capped, gets what the cap does to their derivatives.
    func softmax(
        _ scores: UnsafeMutablePointer<Float>, of row: Int, window: Int?, slopes: UnsafeMutablePointer<Float>? = nil
    ) {
        let kernels = forward.arithmetic.kernels
        let first = firstSeen(by: row, window: window)
        let count = row + 1 - first
        scores.update(repeating: 0, count: first)
        if let cap = forward.configuration.attentionCap {
            let seen = scores + first
            for index in 0..<count { seen[index] *= scale }
            kernels.cap(seen, count: count, at: cap, slopes: slopes.map { $0 + first })
            kernels.table.softmax(seen, Int64(count), 1)
        } else {
            kernels.table.softmax(scores + first, Int64(count), scale)
        }
        (scores + row + 1).update(repeating: 0, count: forward.length - row - 1)
    }
}

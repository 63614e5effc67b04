import CKernels
import LinearAlgebra
import Sparse
import Transformer

extension HeadAttention {
    /// The derivatives by one sequence's queries, keys and values of one key-value head, from those by what its queries
    /// attended to (`gradients.attended`), into `gradients`. Scores are computed again, block by block.
    ///
    /// With weights P = softmax(s Q K^T) and outputs P V: dV = P^T dO, dP = dO V^T, dQ = dS K, dK = dS^T Q, where dS is
    /// what softmax makes of dP. Source: Dao et al., "FlashAttention", arXiv:2205.14135, appendix B.2.
    func goBack(
        _ kept: LayerBuffers, rows: Range<Int>, keyValueHead: Int, window: Int?, gradients: LayerBuffers
    ) {
        let configuration = forward.configuration
        let (size, length) = (configuration.headSize, forward.length)
        let group = configuration.headCount / configuration.keyValueHeadCount
        let place = keyValueHead * size..<(keyValueHead + 1) * size
        let keys = Columns(kept.keys.slice(rows: rows, columns: place))
        let values = Columns(kept.values.slice(rows: rows, columns: place))
        let weights = Matrix(uninitializedRows: Self.block, columns: length)
        let changes = Matrix(uninitializedRows: Self.block, columns: length)
        let slopes = configuration.attentionCap.map { _ in Matrix(uninitializedRows: Self.block, columns: length) }
        // Sums over queries: `[length, size]`.
        let keySum = gradients.keys.slice(rows: rows, columns: place)
        let valueSum = gradients.values.slice(rows: rows, columns: place)
        for row in 0..<length {
            keySum.row(row).update(repeating: 0, count: size)
            valueSum.row(row).update(repeating: 0, count: size)
        }
        let table = forward.arithmetic.kernels.table
        for head in keyValueHead * group..<(keyValueHead + 1) * group {
            let columns = head * size..<(head + 1) * size
            let queries = kept.queries.slice(rows: rows, columns: columns)
            let outputs = gradients.attended.slice(rows: rows, columns: columns)
            for first in stride(from: 0, to: length, by: Self.block) {
                let block = first..<min(first + Self.block, length)
                let (p, d) = (weights.slice(rows: 0..<block.count), changes.slice(rows: 0..<block.count))
                multiply(queries.slice(rows: block), keys.rows, 0..<block.upperBound, into: p)
                multiply(outputs.slice(rows: block), values.rows, 0..<block.upperBound, into: d)
                for row in block {
                    softmax(
                        p.row(row - first), of: row, window: window, slopes: slopes?.slice.row(row - first))
                }
                addProduct(p, outputs.slice(rows: block), columns: block.upperBound, to: valueSum)
                for row in block {
                    let (p, d) = (p.row(row - first), d.row(row - first))
                    let seen = firstSeen(by: row, window: window)
                    d.update(repeating: 0, count: seen)
                    table.softmax_gradient(p + seen, d + seen, Int64(row + 1 - seen), scale)
                    if let slopes = slopes?.slice {
                        for token in seen...row { d[token] *= slopes.row(row - first)[token] }
                    }
                    (d + row + 1).update(repeating: 0, count: length - row - 1)
                }
                addProduct(d, queries.slice(rows: block), columns: block.upperBound, to: keySum)
                let target = gradients.queries.slice(rows: rows, columns: columns).slice(rows: block)
                multiply(d, keys.columns, 0..<size, into: target)
            }
        }
    }

    private func multiply(_ left: MatrixSlice, _ right: Matrix, _ rows: Range<Int>, into output: MatrixSlice) {
        forward.arithmetic.multiply(
            left, transposed: right.slice, rows: rows, into: output,
            scratch: forward.arithmetic.scratch(ofThread: thread))
    }

    /// `target[j, d] += sum over i of weights[i, j] * vectors[i, d]` for the first `columns` j.
    private func addProduct(_ weights: MatrixSlice, _ vectors: MatrixSlice, columns: Int, to target: MatrixSlice) {
        let turnedWeights = Matrix(uninitializedRows: columns, columns: weights.rows)
        let turnedVectors = Matrix(uninitializedRows: vectors.columns, columns: vectors.rows)
        for i in 0..<weights.rows {
            for j in 0..<columns { turnedWeights.pointer[j * weights.rows + i] = weights.row(i)[j] }
            for d in 0..<vectors.columns { turnedVectors.pointer[d * vectors.rows + i] = vectors.row(i)[d] }
        }
        let product = Matrix(uninitializedRows: columns, columns: vectors.columns)
        multiply(turnedWeights.slice, turnedVectors, 0..<vectors.columns, into: product.slice)
        let sums = product.slice
        for j in 0..<columns {
            for d in 0..<vectors.columns { target.row(j)[d] += sums.row(j)[d] }
        }
    }
}

/// One head's keys or values, `[length, size]` and `[size, length]`, without gaps.
private struct Columns {
    let rows: Matrix
    let columns: Matrix

    init(_ slice: MatrixSlice) {
        rows = Matrix(uninitializedRows: slice.rows, columns: slice.columns)
        columns = Matrix(uninitializedRows: slice.columns, columns: slice.rows)
        for row in 0..<slice.rows {
            rows.slice.row(row).update(from: slice.row(row), count: slice.columns)
            for column in 0..<slice.columns { columns.pointer[column * slice.rows + row] = slice.row(row)[column] }
        }
    }
}

import Sparse
import Tensors

/// Products with the same input that run in one fork-join, cut into chunks of rows.
///
/// Four chunks a thread: few enough that claiming them costs nothing, enough that a thread which the system suspends
/// leaves its share to the others.
final class ProductGroup {
    struct Chunk {
        let matrix: Int
        let rows: Range<Int>
    }

    /// The matrices, which outlive this: see ``CPUBackend/weights``.
    let matrices: [MatrixView]
    let chunks: [Chunk]
    /// The forms in which the matrices read their input.
    let forms: InputForms

    init(_ matrices: [PackedMatrix], threadCount: Int) {
        self.matrices = matrices.map(\.view)
        forms = InputForms(of: matrices)
        let total = matrices.reduce(0) { $0 + $1.rows * $1.columns }
        let wanted = max(total / (threadCount * 4), 1)
        chunks = matrices.enumerated().flatMap { index, matrix in
            Self.rowRanges(of: [matrix], elementsPerChunk: wanted).map { Chunk(matrix: index, rows: $0) }
        }
    }

    /// Row ranges that suit all the given matrices, which have the same shape, of about so many elements each: as even
    /// as the formats allow, larger ones first, so that the last to finish has little to do.
    static func rowRanges(of matrices: [PackedMatrix], elementsPerChunk: Int) -> [Range<Int>] {
        let (rows, columns) = (matrices[0].rows, matrices[0].columns)
        let granularity = matrices.map(\.rowGranularity).max() ?? 1  // each divides the larger ones
        let pieces = (rows + granularity - 1) / granularity
        let wanted = (rows * columns + elementsPerChunk / 2) / max(elementsPerChunk, 1)
        let count = min(max(wanted, 1), pieces)
        var first = 0
        return (0..<count).map { index in
            let size = pieces / count + (index < pieces % count ? 1 : 0)
            defer { first += size * granularity }
            return first..<min(first + size * granularity, rows)
        }
    }
}

/// One layer's products, cut into chunks once.
final class LayerProducts {
    let queryKeyValue: ProductGroup
    let output: ProductGroup
    let gate: MatrixView
    let up: MatrixView
    /// Rows that are computed of gate and up together.
    let gateUpRows: [Range<Int>]
    let gateUpForms: InputForms
    let down: ProductGroup

    init(_ layer: DecoderWeights.Layer, threadCount: Int) {
        queryKeyValue = ProductGroup([layer.query, layer.key, layer.value], threadCount: threadCount)
        output = ProductGroup([layer.output], threadCount: threadCount)
        gate = layer.gate.view
        up = layer.up.view
        gateUpRows = ProductGroup.rowRanges(
            of: [layer.gate, layer.up], elementsPerChunk: gate.rows * gate.columns / (threadCount * 4))
        gateUpForms = InputForms(of: [layer.gate, layer.up])
        down = ProductGroup([layer.down], threadCount: threadCount)
    }
}

/// What a group of products multiplies its matrices with.
enum InputSource {
    /// The residual stream, normalised.
    case hidden(norm: Storage<Float>)
    /// What was normalised before.
    case normalized
    /// What attention gives.
    case attended
    /// silu(gate) * up
    case gated
}

/// A place for results: rows `stride` elements apart.
struct OutputRows {
    let pointer: UnsafeMutablePointer<Float>
    let stride: Int
}

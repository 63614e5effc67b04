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
    /// What is added to each matrix's product; they outlive this, too.
    let biases: [UnsafePointer<Float>?]
    let chunks: [Chunk]
    /// The forms in which the matrices read their input.
    let forms: InputForms

    /// - Parameter biases: one for each matrix; nil if there are none at all.
    init(_ matrices: [PackedMatrix], biases: [Storage<Float>?]? = nil, threadCount: Int) {
        self.matrices = matrices.map(\.view)
        self.biases = biases?.map { $0?.pointer } ?? matrices.map { _ in nil }
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
    /// The products before the MLP's activation.
    enum Inner {
        case gated(GatedProducts)
        case plain(ProductGroup)
    }

    let inner: Inner
    let down: ProductGroup

    init(_ layer: DecoderWeights.Layer, threadCount: Int) {
        let biases = layer.biases
        queryKeyValue = ProductGroup(
            [layer.query, layer.key, layer.value], biases: [biases.query, biases.key, biases.value],
            threadCount: threadCount)
        output = ProductGroup([layer.output], biases: [biases.output], threadCount: threadCount)
        if let gate = layer.gate {
            inner = .gated(GatedProducts(gate: gate, up: layer.up, biases: biases, threadCount: threadCount))
        } else {
            inner = .plain(ProductGroup([layer.up], biases: [biases.up], threadCount: threadCount))
        }
        down = ProductGroup([layer.down], biases: [biases.down], threadCount: threadCount)
    }
}

/// The products of gate and up, the same rows of both in one chunk.
final class GatedProducts {
    let gate: MatrixView
    let up: MatrixView
    let gateBias: UnsafePointer<Float>?
    let upBias: UnsafePointer<Float>?
    /// Rows that are computed together.
    let rows: [Range<Int>]
    let forms: InputForms

    init(gate: PackedMatrix, up: PackedMatrix, biases: DecoderWeights.Biases, threadCount: Int) {
        self.gate = gate.view
        self.up = up.view
        gateBias = biases.gate?.pointer
        upBias = biases.up?.pointer
        rows = ProductGroup.rowRanges(
            of: [gate, up], elementsPerChunk: gate.rows * gate.columns / (threadCount * 4))
        forms = InputForms(of: [gate, up])
    }
}

/// What a group of products multiplies its matrices with.
enum InputSource {
    /// The residual stream, normalised; as it is where norms stand behind.
    case hidden(norm: DecoderWeights.Norm?)
    /// What was normalised before.
    case normalized
    /// Rows of the embedding table, or what their head reads.
    case embedded
    /// What attention gives.
    case attended
    /// silu(gate) * up, or what another activation gives.
    case activated
}

/// A place for results: rows `stride` elements apart.
struct OutputRows {
    let pointer: UnsafeMutablePointer<Float>
    let stride: Int
}

import Sparse
import Tensors

/// Products with the same input that run in one fork-join.
final class ProductGroup {
    /// The matrices, which outlive this: see ``CPUBackend/weights``.
    let matrices: [MatrixView]
    /// What is added to each matrix's product; they outlive this, too.
    let biases: [UnsafePointer<Float>?]
    /// Valid while this is.
    let chunks: UnsafeBufferPointer<RowChunk>
    /// The forms in which the matrices read their input.
    let forms: InputForms

    /// - Parameter biases: one for each matrix; nil if there are none at all.
    init(_ matrices: [PackedMatrix], biases: [Storage<Float>?]? = nil, threadCount: Int) {
        self.matrices = matrices.map(\.view)
        self.biases = biases?.map { $0?.pointer } ?? matrices.map { _ in nil }
        forms = InputForms(of: matrices)
        chunks = .allocating(RowShares(of: matrices, threadCount: threadCount).chunks)
    }

    deinit { chunks.deallocate() }
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
    /// Rows that are computed together; valid while this is.
    let rows: UnsafeBufferPointer<Range<Int>>
    let forms: InputForms

    init(gate: PackedMatrix, up: PackedMatrix, biases: DecoderWeights.Biases, threadCount: Int) {
        self.gate = gate.view
        self.up = up.view
        gateBias = biases.gate?.pointer
        upBias = biases.up?.pointer
        rows = .allocating(RowShares(ofRowsOf: gate, and: up, threadCount: threadCount).chunks.map(\.rows))
        forms = InputForms(of: [gate, up])
    }

    deinit { rows.deallocate() }
}

extension UnsafeBufferPointer {
    /// A copy of `elements` that its owner deallocates.
    fileprivate static func allocating(_ elements: [Element]) -> UnsafeBufferPointer {
        let copy = UnsafeMutableBufferPointer<Element>.allocate(capacity: elements.count)
        _ = copy.initialize(fromContentsOf: elements)
        return UnsafeBufferPointer(copy)
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

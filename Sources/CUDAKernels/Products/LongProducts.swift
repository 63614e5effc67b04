public import CUDA

/// Products of any number of tokens: those of many, which prompts have, as dense ones by cuBLAS, where it is there.
///
/// Our kernels expand weights once for each 64 tokens. From some number of tokens on it is faster to write the dense
/// matrix to memory, once, and to multiply that with all of them. Uses are those of one stream.
public final class LongProducts {
    private let products: Products
    private let makeLibrary: (Stream) -> CUBLAS?
    /// Loaded by the first product of many tokens: it takes some tenths of a second.
    private lazy var cublas = makeLibrary(stream)
    private let stream: Stream
    private let leastTokens: Int
    /// The dense matrix of the product under way.
    private var dense: DeviceBuffer

    /// From so many tokens on weights are expanded to memory. Measured on an H100 (docs/benchmarks/gpu.md): three
    /// blocks of 64 tokens take as long.
    public static let leastTokens = 193

    /// - Parameters:
    ///   - cublas: makes the library on that stream, once; nil where it is not there.
    ///   - leastTokens: from so many tokens on weights are expanded.
    /// - Throws: `CUDAError`.
    public init(
        _ products: Products, cublas: @escaping (Stream) -> CUBLAS?, on stream: Stream,
        leastTokens: Int = LongProducts.leastTokens
    ) throws(CUDAError) {
        self.products = products
        makeLibrary = cublas
        self.stream = stream
        self.leastTokens = leastTokens
        dense = try DeviceBuffer(byteCount: 0, in: stream.context)
    }

    /// Gives a product to the stream, as ``Products/enqueue(_:_:workspace:blocks:on:)`` does.
    /// - Throws: `CUDAError`.
    public func enqueue(
        _ matrix: DeviceMatrix, _ operands: ProductOperands, workspace: ProductWorkspace
    ) throws(CUDAError) {
        guard operands.tokens >= leastTokens, let cublas, hasRoom(for: matrix) else {
            try products.enqueue(matrix, operands, workspace: workspace, on: stream)
            return
        }
        if matrix.layout == .dense {
            try cublas.enqueue(matrix, operands)
            return
        }
        try products.enqueueExpansion(of: matrix, to: dense.address, on: stream)
        try cublas.enqueue(dense.address, shapedAs: matrix, operands)
    }

    /// Makes room for the dense matrix. A GPU that is full multiplies without.
    private func hasRoom(for matrix: DeviceMatrix) -> Bool {
        let byteCount = matrix.layout == .dense ? 0 : 2 * matrix.rows * matrix.denseStride
        guard byteCount > dense.byteCount else { return true }
        // What goes waits for the products that read it.
        guard let larger = try? DeviceBuffer(byteCount: byteCount, in: stream.context) else { return false }
        dense = larger
        return true
    }
}

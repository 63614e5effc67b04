import CUDA
import CUDAKernels
import Engine
import Sparse
import Tensors

/// One matrix in everything's form, in as many copies as the second-level cache makes necessary.
///
/// Its rows are a random block of at most 256, over and over: the block is encoded on the host, on all cores, and the
/// GPU copies it. Every element of the large matrix has its own place in memory, and all of it is read; that the same
/// values come again makes no difference to a kernel.
struct ProductSet {
    let shape: ProductShape
    /// The first one is the baseline that the others' results are compared with.
    var products: [any TimedProduct] = []
    /// What could not be made, a sentence each.
    var failures: [String] = []

    /// Whole tiles of Tiled-CSL.
    private static let blockUnit = 128
    private static let maximumBlockRows = 256

    /// Rows of the block: all if they are no multiple of 128, which cannot be put together.
    static func blockRows(of shape: ProductShape) -> Int {
        guard shape.rows % blockUnit == 0 else { return shape.rows }
        let units = shape.rows / blockUnit
        return (1...maximumBlockRows / blockUnit).last { units % $0 == 0 }! * blockUnit
    }

    /// - Parameters:
    ///   - minimumBytes: what the copies of each form take at least, as far as `maximumCopies` allows.
    init(
        _ shape: ProductShape, sparsity: Double, benchmark: GPUProductBenchmark, minimumBytes: Int,
        on gpu: BenchmarkGPU, pool: WorkerPool
    ) throws {
        self.shape = shape
        let block = ProductShape(rows: Self.blockRows(of: shape), columns: shape.columns)
        let repetitions = shape.rows / block.rows
        let elements = ProductBenchmark.randomElements(block, sparsity: sparsity, pool: pool)
        let stream = gpu.stream
        func copyCount(_ byteCount: Int) -> Int {
            max(1, min((minimumBytes + byteCount - 1) / max(byteCount, 1), benchmark.maximumCopies))
        }
        func copies(_ small: DeviceMatrix) throws(CUDAError) -> [DeviceMatrix] {
            var all = [try small.stacked(repetitions, on: stream)]
            while all.count < copyCount(all[0].storedByteCount) { all.append(try all[0].copy(on: stream)) }
            return all
        }
        let dense = try copies(
            DeviceMatrix(
                denseRows: block.rows, columns: block.columns, elements: elements, valueType: .f16, on: stream))
        if let cublas = gpu.cublas { products.append(CUBLASProduct(dense, cublas)) }
        // Without cuBLAS results are compared with our dense kernel's.
        if gpu.cublas == nil || benchmark.layouts.contains(.dense) {
            products.append(OwnProduct(dense, spread: benchmark.spread, on: gpu))
        }
        var tiledCSL: [DeviceMatrix] = []
        for layout in benchmark.layouts where layout != .dense {
            let matrices = try copies(Self.encoded(elements, block, layout, pool: pool, on: stream))
            if layout == .tiledCSL { tiledCSL = matrices }
            products.append(OwnProduct(matrices, spread: benchmark.spread, on: gpu))
            if benchmark.measuresExpansion, let cublas = gpu.cublas {
                products.append(try ExpandedProduct(matrices, cublas, on: gpu))
            }
        }
        guard gpu.cusparse != nil || !gpu.peers.isEmpty else { return }
        var rows = [
            try DeviceCSR(
                rows: block.rows, columns: block.columns, elements: elements, repetitions: repetitions, pool: pool,
                on: stream)
        ]
        if let cusparse = gpu.cusparse {
            while rows.count < copyCount(rows[0].storedByteCount) { rows.append(try rows[0].copy(on: stream)) }
            products.append(CUSPARSEProduct(rows, cusparse))
        }
        if gpu.peers.isEmpty { return }
        if tiledCSL.isEmpty {
            tiledCSL = try copies(Self.encoded(elements, block, .tiledCSL, pool: pool, on: stream))
        }
        for peer in gpu.peers {
            let prepared = Self.prepared(peer, dense[0], rows[0], tiledCSL, copyCount: copyCount, on: stream)
            switch prepared {
            case .success(let matrices): products.append(PeerProduct(peer.name, matrices))
            case .failure(.libraryFailed(_, let call, let code, _)):
                failures.append("\(peer.name)'s \(call) failed for \(shape) at \(sparsity) zeros with code \(code)")
            case .failure(let error): throw error
            }
        }
    }

    private static func prepared(
        _ peer: Peer, _ dense: DeviceMatrix, _ rows: DeviceCSR, _ tiledCSL: [DeviceMatrix],
        copyCount: (Int) -> Int, on stream: CUDA.Stream
    ) -> Result<[PeerMatrix], CUDAError> {
        Result { () throws(CUDAError) in
            var matrices: [PeerMatrix] = []
            repeat {
                let form = tiledCSL[min(matrices.count, tiledCSL.count - 1)]
                matrices.append(
                    try PeerMatrix(Peer.Matrix(dense: dense, rows: rows, tiledCSL: form), for: peer, on: stream))
            } while matrices.count < copyCount(matrices[0].storedByteCount)
            return matrices
        }
    }

    private static func encoded(
        _ elements: Storage<UInt16>, _ block: ProductShape, _ layout: DeviceLayout, pool: WorkerPool,
        on stream: CUDA.Stream
    ) throws -> DeviceMatrix {
        if layout == .tiledCSL { return try DeviceMatrix(tiledCSL(elements, block, pool), on: stream) }
        return try DeviceMatrix(
            layout, rows: block.rows, columns: block.columns, elements: elements, valueType: .f16, pool: pool,
            on: stream)
    }

    /// Tile rows are encoded side by side.
    private static func tiledCSL(
        _ elements: Storage<UInt16>, _ block: ProductShape, _ pool: WorkerPool
    ) throws(SparseError) -> TiledCSL {
        let source = try TiledCSL.Source(
            rows: block.rows, columns: block.columns, elements: elements, valueType: .f16)
        var counts: [Int] = []
        for tileRow in 0..<source.tileRowCount { counts += try source.nonzeroCounts(inTileRow: tileRow) }
        let encoder = try TiledCSL.Encoder(source, nonzeroCounts: counts)
        pool.forEachChunk(source.tileRowCount) { tileRow, _ in encoder.encode(tileRow: tileRow) }
        return encoder.finish()
    }
}

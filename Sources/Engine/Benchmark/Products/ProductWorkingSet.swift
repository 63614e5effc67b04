import Sparse
import Tensors

/// One candidate's matrices: copies enough to lie beyond the caches, and one small enough to lie in one.
final class ProductWorkingSet {
    let candidate: ProductCandidate
    let copies: [PackedMatrix]
    /// What a product of one of these reads.
    private let forms: InputForms
    /// Where the next walk begins: what has not been read for the longest time.
    private var cursor = 0
    /// All threads multiply the same one.
    let resident: PackedMatrix
    private let residentForms: InputForms

    /// Rows of the resident matrix: a multiple of every format's granularity.
    private static let residentRows = 128

    /// - Parameters:
    ///   - byteLimit: the copies take four times the last-level cache or a little more, but only so much; there is one
    ///     at least.
    init(
        _ candidate: ProductCandidate, shape: ProductShape, elements: Storage<UInt16>, byteLimit: Int,
        caches: ProcessorCaches, pool: WorkerPool
    ) throws {
        self.candidate = candidate
        let first = try candidate.pack(shape, elements, pool)
        let size = first.storedByteCount
        let wanted = (4 * caches.lastLevelByteCount + size - 1) / size
        let count = max(min(wanted, byteLimit / size), 1)
        let arena = Arena()
        copies = (0..<count).map { _ in first.copied(in: arena) }
        forms = InputForms(of: [copies[0]])
        let columns = Self.residentColumns(shape, caches: caches)
        let piece = ProductShape(rows: min(Self.residentRows, shape.rows), columns: columns)
        let small = AlignedBuffer<UInt16>(uninitializedCount: piece.elementCount)
        for row in 0..<piece.rows {
            (small.pointer + row * columns).update(from: elements.pointer + row * shape.columns, count: columns)
        }
        resident = try candidate.pack(piece, small.frozen(), pool)
        residentForms = InputForms(of: [resident])
    }

    /// Even dense f16 takes a quarter of the second-level cache: activations, results and scratch lie there, too.
    private static func residentColumns(_ shape: ProductShape, caches: ProcessorCaches) -> Int {
        min(shape.columns, max(caches.secondLevelByteCount / 4 / (2 * residentRows), 256))
    }

    var byteCount: Int { copies.reduce(0) { $0 + $1.storedByteCount } }

    var bytesPerWeight: Double {
        Double(copies[0].storedByteCount) / Double(copies[0].rows * copies[0].columns)
    }

    /// Multiplies copy after copy for at least `seconds`, each time with the input prepared anew.
    /// - Returns: elements per second.
    func walk(_ operands: ProductOperands, seconds: Double, pool: WorkerPool, kernels: Kernels) -> Double {
        let chunks = RowShares(of: [copies[0]], threadCount: pool.threadCount).chunks
        // Workers that have gone to sleep are not what is measured.
        pool.forEachChunk(pool.threadCount) { _, _ in }
        let clock = ContinuousClock()
        let start = clock.now
        var elements = 0
        var elapsed = 0.0
        repeat {
            let matrix = copies[cursor]
            cursor = (cursor + 1) % copies.count
            operands.prepare(columns: matrix.columns, forms: forms, pool: pool)
            let own = operands.operands(for: matrix, thread: 0, isPrivate: false)
            chunks.withUnsafeBufferPointer {
                pool.run(
                    Product(matrix: matrix.view, chunks: $0, operands: own, kernels: kernels),
                    chunkCount: $0.count)
            }
            elements += matrix.rows * matrix.columns
            elapsed = (clock.now - start) / .seconds(1)
        } while elapsed < seconds
        return Double(elements) / elapsed
    }

    /// Every thread multiplies the resident matrix again and again for about `seconds`. The input is prepared once
    /// before: with so few rows its preparation would count many times over.
    /// - Returns: elements per second of all threads together.
    func residentSpeed(_ operands: ProductOperands, seconds: Double, pool: WorkerPool, kernels: Kernels) -> Double {
        let rates = AlignedBuffer<Double>(repeating: 0, count: pool.threadCount)
        operands.prepare(columns: resident.columns, forms: residentForms, pool: pool)
        pool.forEachChunk(pool.threadCount) { chunk, thread in
            let own = operands.operands(for: resident, thread: thread, isPrivate: true)
            let clock = ContinuousClock()
            // Once before the clock runs: now it lies in the cache.
            resident.multiply(rows: 0..<resident.rows, own, kernels: kernels)
            let start = clock.now
            var products = 0
            var elapsed = 0.0
            repeat {
                for _ in 0..<4 { resident.multiply(rows: 0..<resident.rows, own, kernels: kernels) }
                products += 4
                elapsed = (clock.now - start) / .seconds(1)
            } while elapsed < seconds
            rates.pointer[chunk] = Double(products * resident.rows * resident.columns) / elapsed
        }
        defer { withExtendedLifetime(rates) {} }  // its elements do not keep it alive
        return rates.elements.reduce(0, +)
    }

    /// How far the product of the resident matrix is off the double-precision one with the same stored weights and
    /// quantised activations, relative to its size.
    func relativeError(_ operands: ProductOperands, pool: WorkerPool, kernels: Kernels) -> Double {
        operands.prepare(columns: resident.columns, forms: residentForms, pool: pool)
        let own = operands.operands(for: resident, thread: 0, isPrivate: true)
        let count = operands.tokens * resident.rows
        resident.multiply(rows: 0..<resident.rows, own, kernels: kernels)
        let found = Array(UnsafeBufferPointer(start: own.output, count: count))
        resident.multiplyReference(own)
        var (error, size) = (0.0, 0.0)
        for index in 0..<count {
            let expected = Double(own.output[index])
            error += (Double(found[index]) - expected) * (Double(found[index]) - expected)
            size += expected * expected
        }
        return (error / size).squareRoot()
    }
}

/// One product in chunks of rows, cut as the decoder cuts it.
private struct Product: ChunkedLoop {
    let matrix: MatrixView
    let chunks: UnsafeBufferPointer<RowChunk>
    /// With the scratch memory of the first thread; those of the others follow.
    let operands: Operands
    let kernels: Kernels

    func run(chunk: Int, thread: Int) {
        matrix.multiply(rows: chunks[chunk].rows, operands.ofThread(thread), kernels: kernels)
    }
}

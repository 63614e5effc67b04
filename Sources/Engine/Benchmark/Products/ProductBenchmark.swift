public import Sparse
public import Tensors

/// Measures products of random sparse matrices, format against format.
///
/// Of every shape and sparsity, each round measures the memory's bandwidth and then every format once at every number
/// of tokens and threads, so that a machine that slows down slows all of them. Products run as in the decoder: a worker
/// pool, the input brought into the form that the matrix reads (quantised, or by columns where zeros are skipped), a
/// fork-join over chunks of rows. All of that is timed.
public struct ProductBenchmark {
    public var shapes: [ProductShape] = []
    /// Shares of zeros, 0..<1.
    public var sparsities: [Double] = []
    /// What is measured; ``ProductCandidate/baseline`` should be among them.
    public var candidates = ProductCandidate.all
    public var tokens: [Int] = [1]
    public var threadCounts: [Int] = [1]
    /// Counted rounds; one more comes first, which touches memory and fills tables.
    public var rounds = 7
    /// Bytes that all formats' copies of one matrix may take together.
    public var memoryByteLimit = 4 << 30
    public var caches = ProcessorCaches.current
    public var kernels = Kernels.best
    /// Of one measurement; of weights in cache a quarter of it.
    public var seconds = 0.02

    public init() {}

    /// - Parameter progress: called with the number of rounds done and in all.
    /// - Throws: `SparseError`, or `ProductBenchmarkError`.
    public func run(progress: (Int, Int) -> Void = { _, _ in }) throws -> [ProductMeasurement] {
        let probe = BandwidthProbe(
            byteCount: max(BandwidthProbe.defaultByteCount, min(4 * caches.lastLevelByteCount, memoryByteLimit)))
        let pools = threadCounts.map { WorkerPool(threadCount: $0) }
        let packing = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        let total = shapes.count * sparsities.count * (rounds + 1)
        var done = 0
        var results: [ProductMeasurement] = []
        for shape in shapes {
            for sparsity in sparsities {
                let sets = try workingSets(shape, sparsity: sparsity, pool: packing)
                var generator = Xoshiro256(seed: UInt64(shape.elementCount))
                let operands = tokens.map {
                    ProductOperands(
                        tokens: $0, sets: sets, threadCount: threadCounts.max() ?? 1, kernels: kernels,
                        generator: &generator)
                }
                try check(sets, operands, pool: packing)
                results += measure(
                    sets, operands, shape: shape, sparsity: sparsity, pools: pools, probe: probe,
                    progress: {
                        progress(done, total)
                        done += 1
                    })
            }
        }
        return results
    }

    private func workingSets(
        _ shape: ProductShape, sparsity: Double, pool: WorkerPool
    ) throws -> [ProductWorkingSet] {
        let elements = Self.randomElements(shape, sparsity: sparsity, pool: pool)
        let share = memoryByteLimit / max(candidates.count, 1)
        var byteCount = 0
        return try candidates.map { candidate in
            let set = try ProductWorkingSet(
                candidate, shape: shape, elements: elements, byteLimit: share, caches: caches, pool: pool)
            byteCount += set.byteCount
            guard byteCount <= memoryByteLimit else {
                throw ProductBenchmarkError.memory(shape: shape, byteLimit: memoryByteLimit)
            }
            return set
        }
    }

    /// A benchmark of wrong results would be worth nothing.
    private func check(_ sets: [ProductWorkingSet], _ operands: [ProductOperands], pool: WorkerPool) throws {
        for set in sets {
            for operands in operands {
                let error = set.relativeError(operands, pool: pool, kernels: kernels)
                if !(error <= set.candidate.errorLimit) {
                    throw ProductBenchmarkError.wrong(
                        format: set.candidate.name, tokens: operands.tokens, error: error,
                        limit: set.candidate.errorLimit)
                }
            }
        }
    }

    private func measure(
        _ sets: [ProductWorkingSet], _ operands: [ProductOperands], shape: ProductShape, sparsity: Double,
        pools: [WorkerPool], probe: BandwidthProbe, progress: () -> Void
    ) -> [ProductMeasurement] {
        var results: [ProductMeasurement] = []
        for round in 0...rounds {
            progress()
            var index = 0
            for pool in pools {
                let bandwidth = probe.measure(pool)
                for operands in operands {
                    for set in sets {
                        if round == 0 {
                            results.append(
                                ProductMeasurement(
                                    shape: shape, sparsity: sparsity, format: set.candidate.name,
                                    isDense: set.candidate.isDense, isInteger: set.candidate.isInteger,
                                    tokens: operands.tokens, threads: pool.threadCount,
                                    bytesPerWeight: set.bytesPerWeight, workingSetByteCount: set.byteCount))
                        }
                        let speed = set.walk(operands, seconds: seconds, pool: pool, kernels: kernels)
                        let resident = set.residentSpeed(operands, seconds: seconds / 4, pool: pool, kernels: kernels)
                        if round > 0 {
                            results[index].weightsPerSecond.add(speed)
                            results[index].bandwidth.add(bandwidth)
                            results[index].residentWeightsPerSecond.add(resident)
                        }
                        index += 1
                    }
                }
            }
        }
        return results
    }

    /// f16 patterns of random sign and magnitude (1/8 to 1/2), each zero by chance.
    public static func randomElements(_ shape: ProductShape, sparsity: Double, pool: WorkerPool) -> Storage<UInt16> {
        let elements = AlignedBuffer<UInt16>(uninitializedCount: shape.elementCount)
        let threshold = Int((sparsity * 65536).rounded())
        pool.forEachChunk(shape.rows) { row, _ in
            var generator = Xoshiro256(seed: UInt64(row))
            var bits: UInt64 = 0
            for column in 0..<shape.columns {
                bits = column % 2 == 0 ? generator.next() : bits >> 32
                // Exponents 12 and 13 of 5 bits: one bit of them is free, and all of sign and mantissa.
                let pattern = UInt16(truncatingIfNeeded: bits) & 0x87FF | 0x3000
                elements.pointer[row * shape.columns + column] =
                    Int(bits >> 16 & 0xFFFF) < threshold ? 0 : pattern
            }
        }
        return elements.frozen()
    }
}

import CKernels
public import Sparse
import Synchronization
import Tensors

/// Measures what a machine can, in about three seconds; one that is busy with other things takes longer.
///
/// As in the benchmark of products, every round measures the memory's bandwidth and then every kernel once at every
/// density and number of tokens, so that a machine that slows down slows all of them; medians of the rounds count.
/// Every thread multiplies the same small matrix, which lies in its second-level cache.
public struct MachineProfiler {
    public var kernels = Kernels.best
    public var caches = ProcessorCaches.current
    public var rounds = Self.defaultRounds
    public static let defaultRounds = 5
    /// Of one sample: a few dozen products of one token, a few of 64.
    public var sampleSeconds = 0.0015

    private let processor: String
    private let threads: Int

    /// Shares of nonzeros at which sparse formats are measured. Times between them are interpolated, so that they lie
    /// densest where formats overtake each other.
    static let densities = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1]
    static let tokens = [1, 4, 16, 64]
    /// A multiple of every format's granularity.
    static let rows = 128

    /// - Parameter processor: the processor's name.
    public init(processor: String, threads: Int) {
        self.processor = processor
        self.threads = threads
    }

    /// - Parameter progress: called with the number of rounds done and in all.
    public func measure(progress: (Int, Int) -> Void = { _, _ in }) throws -> MachineProfile {
        progress(0, rounds)
        let pool = WorkerPool(threadCount: threads)
        // Dense f16 takes a quarter of the cache: activations, results and scratch memory lie there, too.
        let columns = min(max(caches.secondLevelByteCount / 4 / (2 * Self.rows), 256), 2048)
        let subjects = try subjects(columns: columns, pool: pool)
        let operands = Self.tokens.map {
            CalibrationOperands(
                tokens: $0, columns: columns, matrices: subjects.map(\.matrix), pool: pool, kernels: kernels)
        }
        let memory = AlignedBuffer<UInt8>(
            repeating: 1, count: min(max(2 * caches.lastLevelByteCount, 128 << 20), 512 << 20))
        var bandwidth = Spread()
        var speeds = subjects.map { _ in Self.tokens.map { _ in Spread() } }
        for round in 0..<rounds {
            bandwidth.add(Self.bandwidth(of: memory, pool: pool))
            for (index, subject) in subjects.enumerated() {
                for (column, operands) in operands.enumerated() {
                    speeds[index][column].add(speed(of: subject.matrix, operands, pool: pool))
                }
            }
            progress(round + 1, rounds)
        }
        return try profile(subjects, bandwidth: bandwidth, speeds: speeds)
    }

    private struct Subject {
        let kind: ProductKind
        let density: Double
        let matrix: PackedMatrix
    }

    private func subjects(columns: Int, pool: WorkerPool) throws -> [Subject] {
        let shape = ProductShape(rows: Self.rows, columns: columns)
        var elements: [Double: Storage<UInt16>] = [:]
        for density in Self.densities {
            elements[density] = ProductBenchmark.randomElements(shape, sparsity: 1 - density, pool: pool)
        }
        return try ProductKind.all.flatMap { kind in
            try (kind.format == .dense ? [1] : Self.densities).map { density in
                let packing = try PackedMatrix.pack(
                    rows: shape.rows, columns: shape.columns, elements: elements[density]!, valueType: .f16,
                    choice: .fixed(kind.format),
                    values: kind.coding.map { .quantized($0, .columns128) } ?? .exact, pool: pool)
                return Subject(kind: kind, density: density, matrix: packing.matrix)
            }
        }
    }

    /// Bytes that all threads together read in a second, each its own part of `memory`: by each thread's median piece,
    /// as speeds are, or a busy machine would seem to be slow at the one and not at the other.
    private static func bandwidth(of memory: AlignedBuffer<UInt8>, pool: WorkerPool) -> Double {
        let rates = AlignedBuffer<Double>(repeating: 0, count: pool.threadCount)
        let share = memory.count / pool.threadCount
        let pieceSize = min(256 << 10, share)
        pool.forEachChunk(pool.threadCount) { chunk, _ in
            let clock = ContinuousClock()
            var times = Spread()
            for piece in 0..<share / pieceSize {
                let start = clock.now
                // The checksum keeps the reads; every byte is 1, so it is known.
                let address = memory.pointer + chunk * share + piece * pieceSize
                precondition(flash_read_bandwidth(address, Int64(pieceSize)) != 0)
                times.add((clock.now - start) / .seconds(1))
            }
            rates.pointer[chunk] = Double(pieceSize) / max(times.median, 1e-9)
        }
        defer { withExtendedLifetime((rates, memory)) {} }  // their elements do not keep them alive
        return rates.elements.reduce(0, +)
    }

    /// Elements that all threads together multiply in a second: by each thread's median product, which does not notice
    /// that the system took the processor away for a while.
    private func speed(of matrix: PackedMatrix, _ operands: CalibrationOperands, pool: WorkerPool) -> Double {
        let rates = AlignedBuffer<Double>(repeating: 0, count: pool.threadCount)
        let gathering = Gathering(count: pool.threadCount, patienceSeconds: sampleSeconds)
        pool.forEachChunk(pool.threadCount) { chunk, thread in
            let own = operands.operands(for: matrix, thread: thread)
            // Once before the clock runs: now it lies in the cache.
            matrix.multiply(rows: 0..<matrix.rows, own, kernels: kernels)
            gathering.start()
            let clock = ContinuousClock()
            let start = clock.now
            var times = Spread()
            var elapsed = 0.0
            repeat {
                let begin = elapsed
                matrix.multiply(rows: 0..<matrix.rows, own, kernels: kernels)
                elapsed = (clock.now - start) / .seconds(1)
                times.add(elapsed - begin)
            } while elapsed < sampleSeconds
            gathering.finish { matrix.multiply(rows: 0..<matrix.rows, own, kernels: kernels) }
            rates.pointer[chunk] = Double(matrix.rows * matrix.columns) / max(times.median, 1e-9)
        }
        defer { withExtendedLifetime(rates) {} }  // its elements do not keep it alive
        return rates.elements.reduce(0, +)
    }

    private func profile(_ subjects: [Subject], bandwidth: Spread, speeds: [[Spread]]) throws -> MachineProfile {
        let kernels = try ProductKind.all.map { kind in
            let rows = subjects.indices.filter { subjects[$0].kind == kind }
            return try KernelSpeed(
                kind: kind, densities: rows.map { subjects[$0].density }, tokens: Self.tokens,
                // Whole numbers, so that what is read from a file is what was measured.
                weightsPerSecond: rows.map { speeds[$0].map { $0.median.rounded() } })
        }
        return try MachineProfile(
            machine: .init(processor: processor, instructionSet: self.kernels.instructionSet, threads: threads),
            bytesPerSecond: bandwidth.median.rounded(), kernels: kernels)
    }
}

/// Threads that measure at the same time, as they compute: two that share a core slow each other down, and one alone
/// would seem up to twice as fast. Whoever is kept waiting too long, on a machine that is busy, goes on alone.
private final class Gathering: Sendable {
    private let count: Int
    private let patience: Duration
    private let started = Atomic(0)
    private let finished = Atomic(0)

    init(count: Int, patienceSeconds: Double) {
        self.count = count
        patience = .seconds(patienceSeconds)
    }

    /// Waits until all are here.
    func start() {
        started.add(1, ordering: .relaxed)
        wait(for: started) {}
    }

    /// Goes on working until all have what they came for.
    func finish(_ work: () -> Void) {
        finished.add(1, ordering: .relaxed)
        wait(for: finished, work)
    }

    private func wait(for arrived: borrowing Atomic<Int>, _ work: () -> Void) {
        let end = ContinuousClock.now + patience
        while arrived.load(ordering: .relaxed) < count && ContinuousClock.now < end { work() }
    }
}

/// Activations in every form that a kernel reads, with results and scratch memory for every thread.
private struct CalibrationOperands {
    private let tokens: Int
    /// `[tokens, columns]`
    private let input: AlignedBuffer<Float>
    private let prepared: PreparedInput
    /// `[threads, tokens, rows]`; overwritten by every product.
    private let output: AlignedBuffer<Float>
    private let scratch: AlignedBuffer<UInt8>

    init(tokens: Int, columns: Int, matrices: [PackedMatrix], pool: WorkerPool, kernels: Kernels) {
        self.tokens = tokens
        input = AlignedBuffer<Float>(repeating: 0, count: tokens * columns)
        var generator = Xoshiro256(seed: UInt64(tokens))
        for index in 0..<input.count { input.pointer[index] = Float(generator.uniform() * 2 - 1) }
        prepared = PreparedInput(for: matrices, maximumTokens: tokens, kernels: kernels)
        prepared.prepare(
            input.pointer, columns: columns, tokens: tokens, forms: InputForms(of: matrices), pool: pool)
        output = AlignedBuffer(repeating: 0, count: pool.threadCount * tokens * MachineProfiler.rows)
        scratch = AlignedBuffer(uninitializedCount: pool.threadCount * Kernels.scratchByteCount)
    }

    func operands(for matrix: PackedMatrix, thread: Int) -> Operands {
        prepared.operands(
            for: matrix.view, output: output.pointer + thread * tokens * MachineProfiler.rows,
            outputStride: matrix.rows,
            scratch: UnsafeMutableRawPointer(scratch.pointer + thread * Kernels.scratchByteCount))
    }
}

public import CUDAKernels
import CUDA
public import Engine
import Tensors

/// Measures products of random sparse matrices on a GPU: our layouts, cuBLAS, cuSPARSE and peers, in turns.
///
/// Of every matrix, each round measures the bandwidth of reading memory and then every product at every number of
/// tokens, so that a GPU whose clock falls slows all of them. Copies of a matrix that take eight times the second-level
/// cache are walked over in turn. Products follow each other without a pause, as in a decoder, and events before the
/// first and behind the last of them take the time.
public struct GPUProductBenchmark {
    public var shapes: [ProductShape] = []
    /// Shares of zeros, 0..<1.
    public var sparsities: [Double] = []
    public var tokens: [Int] = [1]
    public var layouts: [DeviceLayout] = DeviceLayout.allCases
    /// Whether the sparse layouts are measured expanded to memory and multiplied by cuBLAS, too.
    public var measuresExpansion = true
    /// How our products are spread over the GPU.
    public var spread = ProductSpread()
    /// Counted rounds; one more comes first.
    public var rounds = 7
    /// Of one measurement: some ten launches of a large matrix.
    public var seconds = 0.002
    /// Nothing new is begun after so many seconds; nil for no limit.
    public var timeLimitSeconds: Double?
    /// Bytes that copies of a matrix take at least; nil for eight times the second-level cache.
    public var workingSetByteCount: Int?
    /// The most copies of one matrix.
    public var maximumCopies = 64
    /// Bytes that are read to measure bandwidth; nil for a gigabyte, or 16 times the second-level cache.
    public var bandwidthByteCount: Int?

    /// How many times slower than the first one a product is that only one round measures.
    public var slowFactor = 20.0

    public init() {}

    private static let launchLimit = 1_000

    /// - Parameter progress: called with the number of matrices done and in all.
    /// - Throws: `CUDAError`, `SparseError`, `GPUBenchmarkError`.
    public func run(on gpu: BenchmarkGPU, progress: (Int, Int) -> Void = { _, _ in }) throws -> GPUProductReport {
        for shape in shapes where shape.columns % 8 != 0 { throw GPUBenchmarkError.columns(shape: shape) }
        let clock = ContinuousClock()
        let start = clock.now
        let l2Bytes = gpu.device.l2Bytes
        let reading = try ReadBandwidth(
            byteCount: bandwidthByteCount ?? max(1 << 30, 16 * l2Bytes), library: gpu.library, on: gpu.stream)
        try reading.enqueue()
        guard try reading.isComplete() else { throw GPUBenchmarkError.incompleteReading }
        let pool = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        var report = GPUProductReport()
        var done = 0
        for shape in shapes {
            for sparsity in sparsities {
                progress(done, shapes.count * sparsities.count)
                done += 1
                if let timeLimitSeconds, (clock.now - start) / .seconds(1) >= timeLimitSeconds {
                    report.isCutShort = true
                    return report
                }
                let begun = clock.now
                let set = try ProductSet(
                    shape, sparsity: sparsity, benchmark: self, minimumBytes: workingSetByteCount ?? 8 * l2Bytes,
                    on: gpu, pool: pool)
                report.failures += set.failures
                report.preparationSeconds += (clock.now - begun) / .seconds(1)
                try measure(set, sparsity: sparsity, reading, on: gpu, into: &report)
            }
        }
        return report
    }

    /// One product with some number of tokens, while it is measured.
    private struct Setting {
        let product: any TimedProduct
        let operands: TimedOperands
        /// In the report's measurements.
        let index: Int
        var launches = 1
        var nextCopy = 0
        /// Far slower than what it is compared with: one round tells enough, and leaves time for the others.
        var isSlow = false
    }

    private func measure(
        _ set: ProductSet, sparsity: Double, _ reading: ReadBandwidth, on gpu: BenchmarkGPU,
        into report: inout GPUProductReport
    ) throws {
        let timer = try Timer(on: gpu.stream)
        var settings: [[Setting]] = []
        for tokens in tokens {
            settings.append(try checkedSettings(set, sparsity: sparsity, tokens: tokens, on: gpu, into: &report))
        }
        for round in 0...rounds {
            for group in settings.indices {
                let readSeconds = try timer.seconds { () throws(CUDAError) in try reading.enqueue() }
                let bandwidth = Double(reading.byteCount) / readSeconds
                if round > 0 { report.bandwidth.add(bandwidth) }
                var firstSeconds: Double?
                for place in settings[group].indices where round <= 1 || !settings[group][place].isSlow {
                    let seconds = try Self.sample(&settings[group][place], timer)
                    if round == 0 {
                        let launches = min(self.seconds / max(seconds, 1e-7), Double(Self.launchLimit))
                        settings[group][place].launches = max(1, Int(launches))
                        settings[group][place].isSlow = seconds > slowFactor * (firstSeconds ?? seconds)
                        firstSeconds = firstSeconds ?? seconds
                    } else {
                        report.measurements[settings[group][place].index].seconds.add(seconds)
                        report.measurements[settings[group][place].index].bandwidth.add(bandwidth)
                    }
                }
            }
        }
    }

    /// Mean seconds of a setting's launches.
    private static func sample(_ setting: inout Setting, _ timer: Timer) throws(CUDAError) -> Double {
        var copy = setting.nextCopy
        let (product, operands, launches) = (setting.product, setting.operands, setting.launches)
        let seconds = try timer.seconds { () throws(CUDAError) in
            for _ in 0..<launches {
                _ = try product.enqueue(copy: copy, operands)
                copy = copy + 1 == product.copyCount ? 0 : copy + 1
            }
        }
        setting.nextCopy = copy
        return seconds / Double(launches)
    }

    /// Runs every product once and compares its result with the first one's. What is wrong or fails is not measured.
    private func checkedSettings(
        _ set: ProductSet, sparsity: Double, tokens: Int, on gpu: BenchmarkGPU, into report: inout GPUProductReport
    ) throws -> [Setting] {
        let (rows, columns) = (set.shape.rows, set.shape.columns)
        let operands = TimedOperands(
            tokens: tokens, input: try DeviceBuffer(Self.activations(tokens * columns), on: gpu.stream),
            output: try DeviceBuffer(byteCount: tokens * rows * 2, in: gpu.stream.context))
        var settings: [Setting] = []
        var reference: [UInt16]?
        for product in set.products {
            let count = "\(tokens) token\(tokens == 1 ? "" : "s")"
            let place = "\(product.name) with \(set.shape) at \(sparsity) zeros and \(count)"
            do throws(CUDAError) {
                // Not numbers, so that what is not written is found.
                try operands.output.enqueueFill(0xFF, on: gpu.stream)
                guard try product.enqueue(copy: 0, operands) else { continue }
                let found = try operands.output.read(UInt16.self, count: tokens * rows, on: gpu.stream)
                let error = OutputCheck.error(found, reference: reference ?? found)
                if reference == nil { reference = found }
                guard error <= product.errorLimit, found.allSatisfy({ $0 & 0x7C00 != 0x7C00 }) else {
                    report.failures.append(
                        "the result of \(place) is wrong: its error is \(error), allowed are \(product.errorLimit)")
                    continue
                }
                settings.append(
                    Setting(product: product, operands: operands, index: report.measurements.count))
                report.measurements.append(
                    GPUProductMeasurement(
                        shape: set.shape, sparsity: sparsity, tokens: tokens, product: product.name,
                        isDense: product.isDense, storedByteCount: product.storedByteCount,
                        copies: product.copyCount, error: error))
            } catch {
                // What a library refuses is its own matter; everything else ends the measuring.
                guard case .libraryFailed = error else { throw error }
                report.failures.append("\(place) failed: \(error)")
            }
        }
        return settings
    }

    /// f16 patterns in -1...1, the same for every run.
    private static func activations(_ count: Int) -> [UInt16] {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float16(Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-31).bitPattern
        }
    }
}

/// Takes the GPU's time of what a stream is given.
private struct Timer {
    private let stream: CUDA.Stream
    private let start: Event
    private let end: Event

    init(on stream: CUDA.Stream) throws(CUDAError) {
        self.stream = stream
        start = try Event(in: stream.context)
        end = try Event(in: stream.context)
    }

    func seconds(_ work: () throws(CUDAError) -> Void) throws(CUDAError) -> Double {
        try start.record(on: stream)
        try work()
        try end.record(on: stream)
        try end.synchronize()
        return try end.milliseconds(since: start) / 1e3
    }
}

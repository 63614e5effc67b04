import CUDAKernels
import Engine
import GPUBenchmark
import GPUCases
import Testing

/// The benchmark of products on the emulator: what it measures there means nothing, what it does is the same.
@Suite struct GPUProductBenchmarkTests {
    private var benchmark: GPUProductBenchmark {
        var benchmark = GPUProductBenchmark()
        benchmark.shapes = [ProductShape(rows: 256, columns: 64), ProductShape(rows: 20, columns: 136)]
        benchmark.sparsities = [0.5, 0.9]
        benchmark.tokens = [1, 9]
        benchmark.rounds = 2
        benchmark.seconds = 1e-9
        benchmark.slowFactor = .infinity
        benchmark.workingSetByteCount = 20_000
        benchmark.maximumCopies = 3
        benchmark.bandwidthByteCount = 1
        return benchmark
    }

    @Test func measuresEveryLayout() throws {
        try TestedGPU.run { gpu in
            var done: [Int] = []
            let report = try benchmark.run(on: BenchmarkGPU(gpu.library)) { matrix, total in
                done.append(matrix)
                #expect(total == 4)
            }
            #expect(done == [0, 1, 2, 3] && report.failures == [] && !report.isCutShort)
            #expect(report.measurements.count == 2 * 2 * 2 * 4 && report.preparationSeconds > 0)
            #expect(report.bandwidth.samples.count == 2 * 2 * 2 * 2)
            for measurement in report.measurements {
                #expect(measurement.seconds.samples.count == 2 && measurement.bandwidth.samples.count == 2)
                #expect(measurement.seconds.best > 0 && measurement.error <= 1)
                #expect(measurement.isDense == (measurement.product == "dense"))
                let bytes = measurement.shape.elementCount * 2
                #expect((measurement.storedByteCount == bytes) == measurement.isDense)
                #expect((1...3).contains(measurement.copies))
            }
            #expect(
                report.measurements.prefix(4).map(\.product) == ["dense", "tiled-csl", "lane-bitmap", "lane-stream"])
        }
    }

    /// Behind cuBLAS, and only with many tokens.
    @Test func measuresExpandedWeights() throws {
        var benchmark = benchmark
        benchmark.tokens = [1, 64]
        benchmark.shapes = [ProductShape(rows: 128, columns: 72)]
        benchmark.sparsities = [0.5]
        benchmark.layouts = [.laneBitmap]
        try TestedGPU.run { gpu in
            var measured = try BenchmarkGPU(gpu.library)
            measured.cublas = try CUBLAS(table: LibraryFakes.cublas, on: measured.stream)
            let report = try benchmark.run(on: measured)
            #expect(report.failures == [])
            #expect(
                report.measurements.map { "\($0.product) \($0.tokens)" } == [
                    "cublas 1", "lane-bitmap 1", "cublas 64", "lane-bitmap 64", "expanded-lane-bitmap 64",
                ])
        }
    }

    @Test func spreadsOverBlocksAsAsked() throws {
        var benchmark = benchmark
        benchmark.shapes = [ProductShape(rows: 128, columns: 1024)]
        benchmark.layouts = [.laneBitmap]
        benchmark.spread.blocks = 3
        try TestedGPU.run { gpu in
            let report = try benchmark.run(on: BenchmarkGPU(gpu.library))
            // The dense layout is the one that others are compared with.
            #expect(report.measurements.map(\.product) == (0..<4).flatMap { _ in ["dense", "lane-bitmap"] })
            #expect(report.failures == [])
        }
    }

    @Test func stopsWhenTheTimeIsOver() throws {
        var benchmark = benchmark
        benchmark.timeLimitSeconds = 0
        try TestedGPU.run { gpu in
            let report = try benchmark.run(on: BenchmarkGPU(gpu.library))
            #expect(report.isCutShort && report.measurements.isEmpty)
        }
    }

    @Test func refusesColumnsThatAreNoWholeVectors() throws {
        var benchmark = benchmark
        benchmark.shapes = [ProductShape(rows: 16, columns: 20)]
        try TestedGPU.run { gpu in
            let error = #expect(throws: GPUBenchmarkError.self) { try benchmark.run(on: BenchmarkGPU(gpu.library)) }
            #expect(error?.description.contains("found the shape 16x20") == true)
        }
    }
}

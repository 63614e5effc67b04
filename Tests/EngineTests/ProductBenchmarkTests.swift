import ModelFixtures
import Sparse
import Tensors
import Testing

@testable import Engine

@Suite struct ProductBenchmarkTests {
    private func benchmark() -> ProductBenchmark {
        var benchmark = ProductBenchmark()
        benchmark.shapes = [ProductShape(rows: 200, columns: 330)]
        benchmark.sparsities = [0.5, 0.9]
        benchmark.tokens = [1, 3]
        benchmark.threadCounts = [1, 2]
        benchmark.rounds = 2
        benchmark.seconds = 1e-4
        benchmark.caches = ProcessorCaches(secondLevelByteCount: 1 << 18, lastLevelByteCount: 1 << 18)
        return benchmark
    }

    @Test func measuresEveryFormatAtEverySetting() throws {
        let benchmark = benchmark()
        var progress: [Int] = []
        let results = try benchmark.run { done, total in
            #expect(total == 6)
            progress.append(done)
        }
        #expect(progress == Array(0..<6))
        #expect(results.count == 2 * 2 * 2 * ProductCandidate.all.count)
        for result in results {
            #expect(result.workingSetByteCount >= 4 << 18)
            for spread in [
                result.weightsPerSecond, result.bandwidth, result.residentWeightsPerSecond, result.bandwidthShare,
                result.computeShare, result.boundShare,
            ] {
                #expect(spread.samples.count == 2 && spread.samples.allSatisfy { $0 > 0 && $0.isFinite })
            }
            let compressed = result.compressedBytesPerSecond.samples[0]
            let expected = result.weightsPerSecond.samples[0] * result.bytesPerWeight
            #expect(compressed == expected)
            #expect(result.boundShare.samples[1] >= result.computeShare.samples[1])
            #expect(result.ratio(to: result).samples == [1, 1])
            #expect(results.count { $0.isComparable(to: result) } == ProductCandidate.all.count)
        }
        let dense = try #require(results.first { $0.format == ProductCandidate.baseline })
        #expect(dense.bytesPerWeight == 2 && dense.isDense)
        for (sparsity, density) in [(0.5, 0.5), (0.9, 0.1)] {
            let bitmap = try #require(
                results.first { $0.format == "tiled-bitmap-f16" && $0.sparsity == sparsity })
            // 200 rows are padded to 7 panels of 32.
            #expect(abs(bitmap.bytesPerWeight - (0.125 * 224 / 200 + 2 * density)) < 0.03)
            // 200 rows are padded to 13 panels of 16, 330 columns to 3 groups, each with a bf16 scale.
            let integers = try #require(results.first { $0.format == "tiled-bitmap-i8" && $0.sparsity == sparsity })
            let scales = 2 * 3.0 / 330
            #expect(abs(integers.bytesPerWeight - ((0.125 + scales) * 208 / 200 + density)) < 0.03)
        }
        for result in results {
            #expect(result.isInteger == !result.format.hasSuffix("-f16"), "\(result.format)")
        }
    }

    /// 40 tokens: where 90 % are zeros, the bitmap of 16-bit floats skips them.
    @Test func measuresSkippedZeros() throws {
        var benchmark = benchmark()
        benchmark.tokens = [40]
        benchmark.sparsities = [0.9]
        benchmark.candidates = ProductCandidate.all.filter { $0.name.contains("f16") }
        let results = try benchmark.run()
        #expect(results.count == 2 * benchmark.candidates.count)
        #expect(results.allSatisfy { $0.weightsPerSecond.median > 0 })
    }

    @Test func refusesWrongProducts() {
        var benchmark = benchmark()
        let good = ProductCandidate.all[1]
        // Every product of ours is right, so only a limit that none can keep is passed.
        benchmark.candidates = [
            ProductCandidate(
                name: "strict", isDense: false, isInteger: false, isStandard: true, errorLimit: -1, pack: good.pack)
        ]
        #expect {
            try benchmark.run()
        } throws: { error in
            guard case .wrong(format: "strict", tokens: 1, _, limit: -1) = error as? ProductBenchmarkError else {
                return false
            }
            return true
        }
    }

    @Test func refusesMatricesThatMemoryDoesNotHold() {
        var benchmark = benchmark()
        benchmark.memoryByteLimit = 100_000
        #expect(throws: ProductBenchmarkError.memory(shape: benchmark.shapes[0], byteLimit: 100_000)) {
            try benchmark.run()
        }
    }

    @Test(arguments: [0, 0.3, 0.5, 0.999_999]) func zeroesTheShareAskedFor(sparsity: Double) {
        let shape = ProductShape(rows: 300, columns: 301)
        let pool = WorkerPool(threadCount: 2)
        let elements = ProductBenchmark.randomElements(shape, sparsity: sparsity, pool: pool)
        let share = Double(elements.count { $0 == 0 }) / Double(shape.elementCount)
        #expect(abs(share - sparsity) < 0.01)
        #expect(elements.allSatisfy { $0 == 0 || (0.125..<0.5).contains(abs(Float(Float16(bitPattern: $0)))) })
        #expect(Array(elements) == Array(ProductBenchmark.randomElements(shape, sparsity: sparsity, pool: pool)))
    }

    @Test func copiesMatricesExactly() throws {
        let shape = ProductShape(rows: 70, columns: 90)
        let pool = WorkerPool(threadCount: 1)
        let elements = ProductBenchmark.randomElements(shape, sparsity: 0.6, pool: pool)
        for candidate in ProductCandidate.all {
            let matrix = try candidate.pack(shape, elements, pool)
            let copy = matrix.copied(in: Arena())
            try copy.checkInvariants()
            #expect(copy.storedByteCount == matrix.storedByteCount && copy.format == matrix.format)
            #expect(copy.countNonzeros() == matrix.countNonzeros())
        }
    }

    @Test func knowsShapesByName() {
        #expect(ProductShape.named("4096x1024") == [ProductShape(rows: 4096, columns: 1024)])
        #expect(ProductShape.named("opt")?.count == 12)
        for set in ProductShape.sets { #expect(ProductShape.named(set.name) == set.shapes) }
        for word in ["", "x", "0x4", "4x0", "-1x4", "4x4x4", "4096", "axb", "99999999x2", "1048576x1048576"] {
            #expect(ProductShape.named(word) == nil, "\(word)")
        }
    }

    @Test func readsTheSizesOfCaches() throws {
        let scratch = ScratchFolder()
        for (index, (level, type, size)) in [
            ("1", "Data", "32K"), ("1", "Instruction", "64K"), ("2", "Unified", "2048K"), ("3", "Unified", "105M"),
        ].enumerated() {
            try scratch.makeFolder("index\(index)")
            for (name, text) in [("level", level), ("type", type), ("size", size)] {
                try scratch.write(text + "\n", to: "index\(index)/\(name)")
            }
        }
        let caches = ProcessorCaches(folder: scratch.path)
        #expect(caches == ProcessorCaches(secondLevelByteCount: 2 << 20, lastLevelByteCount: 105 << 20))
        let unknown = ProcessorCaches(folder: scratch.path("nothing"))
        #expect(unknown == ProcessorCaches(secondLevelByteCount: 1 << 20, lastLevelByteCount: 32 << 20))
        for text in ["", "K", "-4K", "4X", "0"] { #expect(ProcessorCaches.byteCount(text) == nil) }
    }
}

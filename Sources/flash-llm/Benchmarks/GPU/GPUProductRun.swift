import ArgumentParser
import CUDA
import CUDAKernels
import Engine
import GPUBenchmark
import Hub
import Terminal

/// `bench spmm --device cuda`: what is asked for, found and measured.
struct GPUProductRun {
    let ordinal: Int
    var options: GPUProductOptions
    var shapes: [ProductShape]?
    var sparsities: [Double]?
    var tokens: [Int]?
    var formats: [String]?
    var rounds: Int?

    /// What `--formats` may name, in the order of results: all of them where it is not given.
    static let formatNames =
        [GPUProductMeasurement.baseline] + DeviceLayout.allCases.map(\.rawValue) + ["expanded", "cusparse"]

    /// - Throws: `ValidationError` for a format that does not exist, or a shape that cannot be measured.
    func check() throws(ValidationError) {
        for shape in shapes ?? [] where shape.columns % 8 != 0 {
            throw ValidationError("\(GPUBenchmarkError.columns(shape: shape))")
        }
        for word in formats ?? [] { _ = try named(word, "format", among: Self.formatNames.map { ($0, $0) }) }
    }

    /// - Throws: `CUDAError`, `SparseError`, `GPUBenchmarkError`.
    func results(console: Console) throws -> GPUProductResults {
        let driver = try CUDADriver.system()
        let context = try Context(driver.device(ordinal))
        let compiler = try driver.runtimeCompiler(path: NVRTC.path(in: console.environment))
        let folder = try? ModelCache(environment: console.environment).kernelsFolder
        let sources = try KernelSource.chosen(in: console.environment)
        let library = KernelLibrary(
            context, compiler: KernelCompiler(compiler, sources: sources, cacheFolder: folder))
        var gpu = try BenchmarkGPU(library)
        let missing = try loadBaselines(into: &gpu)
        let benchmark = self.benchmark
        let progress = ProgressReporter(traits: console.errors)
        defer { progress.finish() }
        let report = try benchmark.run(on: gpu) { done, total in
            progress.update("measuring", completed: done, of: total, unit: .things("matrices"))
        }
        return GPUProductResults(
            report: report, device: gpu.device, driver: driver.version, compiler: compiler.version,
            rounds: benchmark.rounds, missing: missing)
    }

    /// Loads what products are compared with. What was asked for by name must be there.
    /// - Returns: why the others are not, a sentence each.
    private func loadBaselines(into gpu: inout BenchmarkGPU) throws(CUDAError) -> [String] {
        let names = formats ?? Self.formatNames
        var missing: [String] = []
        // Ratios are to cuBLAS, whatever is measured.
        do throws(CUDAError) { gpu.cublas = try CUBLAS.load(on: gpu.stream) } catch {
            if formats?.contains(GPUProductMeasurement.baseline) == true { throw error }
            missing.append("\(error)")
        }
        if names.contains("cusparse") {
            do throws(CUDAError) { gpu.cusparse = try CUSPARSE.load(on: gpu.stream) } catch {
                if formats != nil { throw error }
                missing.append("\(error)")
            }
        }
        for peer in options.peer { gpu.peers.append(try Peer(name: peer.name, path: peer.path)) }
        return missing
    }

    private var benchmark: GPUProductBenchmark {
        var benchmark = GPUProductBenchmark()
        let all = ProductShape.named("opt")!
        // Of OPT-66B: wide, square, and the longest columns.
        benchmark.shapes = shapes ?? (options.quick ? Array(all[4..<8]) : all)
        let shares = options.quick ? [0.5, 0.7, 0.8, 0.9] : [0.5, 0.6, 0.7, 0.8, 0.9]
        benchmark.sparsities = (sparsities ?? shares).sorted()
        benchmark.tokens = tokens ?? (options.quick ? [1, 8, 16, 32] : [1, 2, 4, 8, 16, 32, 64, 128])
        if let formats {
            benchmark.layouts = DeviceLayout.allCases.filter { formats.contains($0.rawValue) }
            benchmark.measuresExpansion = formats.contains("expanded")
        }
        benchmark.spread = ProductSpread(blocks: options.blocks, slices: options.slices)
        benchmark.rounds = rounds ?? (options.quick ? 3 : 7)
        benchmark.seconds = options.sampleSeconds ?? (options.quick ? 0.001 : 0.002)
        benchmark.timeLimitSeconds = options.timeLimit
        benchmark.workingSetByteCount = options.workingSetBytes
        benchmark.bandwidthByteCount = options.bandwidthBytes
        return benchmark
    }
}

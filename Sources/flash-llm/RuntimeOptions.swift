import ArgumentParser
import Checkpoints
import Engine
import Sparse
import Tensors
import Terminal

/// Options of every command that computes.
struct RuntimeOptions: ParsableArguments {
    @OptionGroup var device: DeviceOptions

    @OptionGroup var threads: ThreadOptions

    @Option(help: "Keep weights that must be decoded as f16 or f32.")
    var weights: WeightPrecision = .f16

    @Option(
        help: ArgumentHelp(
            "Keep keys and values as f32, f16 or i8, which takes half of f16. (default: f16; f32 with f32 weights)",
            valueName: "type"))
    var cache: CachePrecision?

    @Option(
        help: ArgumentHelp("Use the kernels of this instruction set, whatever FLASH_LLM_ISA says.", visibility: .hidden)
    )
    var instructionSet: String?

    @OptionGroup var packing: LoadPackingOptions

    func validate() throws {
        if weights == .f32, packing.pack == "f16" {
            throw ValidationError("--pack f16 would round what --weights f32 keeps: leave out one of them")
        }
        _ = try instructionSet.map(kernels(ofInstructionSet:))
        if try device.choice != .cpu, let cache, cache != .f16 {
            throw ValidationError("--cache on a GPU must be f16, found \(cache)")
        }
    }

    /// Opens the model that is to be run, and says so where its matrices were packed.
    func open(_ path: String, pool: WorkerPool, console: Console, progress: ProgressReporter) throws -> LanguageModel {
        let packing = try packing.packing(
            default: device.loadPackingDefault, threads: pool.threadCount, kernels: cpuKernels, console: console,
            progress: progress)
        let model = try LanguageModel.open(path: path, type: weights.type, packing: packing, pool: pool) {
            progress.update("loading", completed: $0, of: $1, unit: .things("layers"))
        }
        progress.finish()
        LoadPackingOptions.report(model.weights, console: console)
        return model
    }

    func makePool() -> WorkerPool { threads.makePool() }

    private var cpuKernels: Kernels { instructionSet.flatMap { Kernels(instructionSet: $0) } ?? .best }

    /// Opens the device.
    /// - Throws: `CUDAError` where there is none.
    func runnerOptions(console: Console) throws -> RunnerOptions {
        let choice = try device.choice
        let element = choice == .cpu && weights == .f32 ? ElementType.f32 : .f16
        return RunnerOptions(
            device: try choice.open(environment: console.environment), kernels: cpuKernels,
            cacheElement: cache?.element ?? element)
    }
}

/// The kernels that `--instruction-set` names.
func kernels(ofInstructionSet name: String) throws(ValidationError) -> Kernels {
    do {
        return try Kernels(named: name, by: "--instruction-set")
    } catch {
        throw ValidationError(error.description)
    }
}

enum CachePrecision: String, ExpressibleByArgument, CaseIterable {
    case f32, f16, i8

    var element: ElementType {
        switch self {
        case .f32: .f32
        case .f16: .f16
        case .i8: .i8
        }
    }
}

enum WeightPrecision: String, ExpressibleByArgument, CaseIterable {
    case f16, f32

    var type: WeightType { self == .f16 ? .f16 : .f32 }
}

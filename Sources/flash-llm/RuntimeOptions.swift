import ArgumentParser
import Checkpoints
import Engine
import Sparse
import Tensors

/// Options of every command that computes.
struct RuntimeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Threads to compute with. (default: one per processor)", valueName: "n"))
    var threads: Int?

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

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads must be in 1...1024, found \(threads)")
        }
        _ = try instructionSet.map(kernels(ofInstructionSet:))
    }

    func makePool() -> WorkerPool { WorkerPool(threadCount: threads ?? WorkerPool.availableProcessorCount) }

    var runnerOptions: RunnerOptions {
        RunnerOptions(
            kernels: instructionSet.flatMap { Kernels(instructionSet: $0) } ?? .best,
            cacheElement: cache?.element ?? (weights == .f32 ? .f32 : .f16))
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

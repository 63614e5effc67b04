import ArgumentParser
import CUDA
import CUDAEmulator
import GPUCases
import OrderedJSON

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Runs the tests of the GPU kernels on a real GPU, and compares with the emulator: for machines without Swift.
@main
struct GPUCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gpu-check",
        abstract: "Run the tests of the GPU kernels on a GPU, value by value against the emulator.",
        subcommands: [FunctionsCheck.self, ProductsCheck.self, LongProductsCheck.self])
}

/// What all checks take.
struct CheckOptions: ParsableArguments {
    @Option(help: "The GPU, from 0.")
    var gpu = 0

    @Option(help: "A folder to keep compiled kernels in.")
    var cache: String?

    @Flag(help: ArgumentHelp("Take the emulator for the GPU: tries this program.", visibility: .hidden))
    var emulate = false

    /// The emulator, where it stands for the GPU, lets threads and copies come in another order.
    var place: TestedGPU.Place {
        if emulate { return .emulator(seed: 7, timing: FLASH_EMULATOR_RANDOM) }
        return .device(gpu, cacheFolder: cache, compiler: NVRTC.path(in: ProcessInfo.processInfo.environment))
    }

    /// Prints what was found as one JSON object, and ends with 1 if something failed.
    func finish(_ name: String, cases: Int, failures: [String], figures: JSON) throws {
        print(
            ([
                "check": .string(name), "emulated": .bool(emulate), "cases": .integer(cases),
                "failed": .integer(failures.count), "failures": .array(failures.prefix(20).map(JSON.string)),
                "figures": figures,
            ] as JSON).text())
        if !failures.isEmpty { throw ExitCode.failure }
    }
}

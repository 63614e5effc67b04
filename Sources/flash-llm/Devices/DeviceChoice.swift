import ArgumentParser
import CUDA
import Engine
import Hub

/// What `--device` names.
enum DeviceChoice: Equatable {
    case cpu
    /// The GPU of this number, from 0.
    case cuda(Int)

    /// - Throws: `ValidationError` for a word that is none of cpu, cuda and cuda:N.
    init(_ word: String) throws(ValidationError) {
        let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, parts[0] == "cuda" {
            guard let ordinal = Int(parts[1]), (0..<1_000).contains(ordinal), "\(ordinal)" == parts[1] else {
                throw ValidationError("--device cuda:N counts GPUs from 0, found '\(word)'")
            }
            self = .cuda(ordinal)
            return
        }
        // Of a misspelt "cuad:1" the first part is looked for.
        self = try named(String(parts[0]), "device", among: [("cpu", .cpu), ("cuda", .cuda(0))])
        if parts.count > 1 { throw ValidationError("--device must be cpu, cuda or cuda:N, found '\(word)'") }
    }

    /// The device, ready to run on.
    /// - Throws: `CUDAError` where there is no driver, no such GPU or no compiler.
    func open(environment: [String: String]) throws(CUDAError) -> ComputeDevice {
        guard case .cuda(let ordinal) = self else { return .cpu }
        let driver = try CUDADriver.system()
        let context = try Context(driver.device(ordinal))
        let compiler = KernelCompiler(
            try driver.runtimeCompiler(path: NVRTC.path(in: environment)),
            sources: try KernelSource.chosen(in: environment),
            cacheFolder: (try? ModelCache(environment: environment))?.kernelsFolder)
        return .cuda(KernelLibrary(context, compiler: compiler))
    }
}

/// Where a command computes.
struct DeviceOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Compute on the processor or an NVIDIA GPU: cpu, cuda or cuda:N.", valueName: "device"))
    var device = "cpu"

    func validate() throws { _ = try choice }

    var choice: DeviceChoice {
        get throws(ValidationError) { try DeviceChoice(device) }
    }

    /// Weights lie otherwise on a GPU, so that packing them for the processor while loading would be in vain.
    var loadPackingDefault: String {
        get throws(ValidationError) { try choice == .cpu ? "auto" : "none" }
    }
}

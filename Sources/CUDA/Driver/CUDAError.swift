/// Why something on a GPU could not be done. Each case describes itself in one sentence.
public enum CUDAError: Error, Equatable, CustomStringConvertible {
    /// NVIDIA's driver is not there, or too old to have all functions.
    case noDriver(reason: String)
    /// A table of functions that was handed in lacks one.
    case incompleteTable(function: String)
    case driverTooOld(found: CUDAVersion, needed: CUDAVersion)
    /// The driver sees no GPU.
    case noDevice
    case badOrdinal(asked: Int, count: Int)
    /// The GPU lacks instructions that our kernels are made of.
    case deviceTooOld(name: String, found: Capability, needed: Capability)
    /// A call of the driver returned something else than success.
    case callFailed(call: String, code: Int, name: String, text: String)
    case outOfMemory(askedBytes: Int, freeBytes: Int, totalBytes: Int)
    /// A copy would reach beyond the end of a buffer.
    case outOfBounds(operation: String, range: Range<Int>, byteCount: Int)

    /// NVRTC is not there.
    case noCompiler(reason: String)
    /// A call of NVRTC failed for another reason than what it was to compile.
    case compilerFailed(call: String, code: Int, text: String)
    /// A kernel file has errors; `log` is the compiler's, of many lines.
    case compilationFailed(file: String, architecture: String, log: String)
    /// The driver does not take code of a compiler that is newer by a major version.
    case compilerTooNew(found: CUDAVersion, driver: CUDAVersion)
    case unknownSource(file: String, known: [String])
    /// A folder that is to have kernel files has none.
    case noSources(folder: String)
    case unknownKernel(name: String, file: String)

    /// A library (cuBLAS, cuSPARSE, a peer) is not there or is another.
    case noLibrary(reason: String)
    /// A call of such a library failed.
    case libraryFailed(library: String, call: String, code: Int, text: String)

    /// A kernel was given a parameter of another size than it declares.
    case wrongParameters(kernel: String, expectedBytes: Int, foundBytes: Int)
    /// A kernel was launched with a number beyond a limit.
    case badLaunch(kernel: String, what: String, found: Int, allowed: ClosedRange<Int>)

    public var description: String {
        switch self {
        case .noDriver(let reason): reason
        case .incompleteTable(let function): "the table of driver functions has no \(function)"
        case .driverTooOld(let found, let needed):
            "the NVIDIA driver must be for CUDA \(needed) or later, found one for CUDA \(found)"
        case .noDevice: "the NVIDIA driver sees no GPU"
        case .badOrdinal(let asked, let count):
            "GPU \(asked) does not exist: there \(count == 1 ? "is one, GPU 0" : "are \(count), counted from 0")"
        case .deviceTooOld(let name, let found, let needed):
            "the GPU must have compute capability \(needed) or higher, found \(found) (\(name))"
        case .callFailed(let call, let code, let name, let text):
            "the NVIDIA driver's \(call) failed with \(name) (\(code)): \(text)"
        case .outOfMemory(let asked, let free, let total):
            "the GPU's memory is full: asked for \(asked) bytes, \(free) of \(total) are free"
        case .outOfBounds(let operation, let range, let byteCount):
            "cannot \(operation) bytes \(range.lowerBound) to \(range.upperBound) of a buffer of \(byteCount) bytes"
        case .noCompiler(let reason): reason
        case .compilerFailed(let call, let code, let text): "NVRTC's \(call) failed with code \(code): \(text)"
        case .compilationFailed(let file, let architecture, let log):
            "\(file) cannot be compiled for \(architecture): \(Self.firstError(in: log))"
        case .compilerTooNew(let found, let driver):
            "the driver, which is for CUDA \(driver), does not take the code of NVRTC \(found): "
                + "install NVRTC \(driver.major) or a newer driver"
        case .unknownSource(let file, let known):
            "there is no kernel file \(file): known are \(known.joined(separator: ", "))"
        case .noSources(let folder): "FLASH_LLM_KERNELS names '\(folder)', where no kernel file can be read"
        case .unknownKernel(let name, let file): "\(file) has no kernel \(name)"
        case .noLibrary(let reason): reason
        case .libraryFailed(let library, let call, let code, let text):
            "\(library)'s \(call) failed with code \(code): \(text)"
        case .wrongParameters(let kernel, let expected, let found):
            "the kernel \(kernel) takes parameters of \(expected) bytes, found \(found)"
        case .badLaunch(let kernel, let what, let found, let allowed):
            "cannot launch the kernel \(kernel): \(what) must be in \(allowed.lowerBound)...\(allowed.upperBound), "
                + "found \(found)"
        }
    }

    /// The line of a compiler's log that says what is wrong; the first one where none says "error".
    private static func firstError(in log: String) -> Substring {
        let lines = log.split(whereSeparator: \.isNewline)
        return lines.first { $0.contains("error") } ?? lines.first ?? "the compiler gave no reason"
    }
}

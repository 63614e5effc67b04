import CCUDA
import CUDA
import CUDAEmulator
import CUDAKernels
import Testing

/// Our kernels on the emulator: the driver layer above its table, a stream, the products.
struct EmulatedGPU {
    let stream: CUDA.Stream
    let products: Products
    let workspace: ProductWorkspace

    /// Holds the emulator, fresh, while `body` runs. Buffers must not leave it.
    static func run<Result>(
        seed: UInt64 = 0, timing: flash_emulator_timing = FLASH_EMULATOR_LAZY, _ body: (EmulatedGPU) throws -> Result
    ) throws -> Result {
        flash_emulator_acquire()
        defer { flash_emulator_release() }
        var options = flash_emulator_default_options()
        options.seed = seed
        options.timing = timing
        flash_emulator_reset()
        flash_emulator_configure(&options)
        defer { flash_emulator_reset() }
        do {
            return try body(EmulatedGPU())
        } catch let error as CUDAError {
            throw Failure(error: error, report: report)
        }
    }

    /// An error of the driver, and what the emulator knows about it.
    struct Failure: Error, CustomStringConvertible {
        let error: CUDAError
        let report: String
        var description: String { "\(error): \(report)" }
    }

    private init() throws {
        var driver = flash_cuda_driver()
        var nvrtc = flash_nvrtc()
        flash_emulator_tables(&driver, &nvrtc)
        let cuda = try CUDADriver(driver: driver, nvrtc: nvrtc)
        let context = try Context(cuda.device())
        let compiler = KernelCompiler(try cuda.runtimeCompiler(), cacheFolder: nil)
        stream = try CUDA.Stream(in: context)
        products = Products(KernelLibrary(context, compiler: compiler))
        workspace = try ProductWorkspace(on: stream)
    }

    /// What went wrong last inside a kernel.
    static var report: String {
        var bytes = [CChar](repeating: 0, count: flash_emulator_report(nil, 0) + 1)
        _ = flash_emulator_report(&bytes, bytes.count)
        return String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static var statistics: flash_emulator_statistics {
        var statistics = flash_emulator_statistics()
        flash_emulator_read_statistics(&statistics)
        return statistics
    }
}

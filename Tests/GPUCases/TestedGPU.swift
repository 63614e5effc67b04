public import CUDA
public import CUDAEmulator
public import CUDAKernels

/// A GPU that kernels are tested on, the machine's own or the emulator: the driver layer, a stream, the products.
public struct TestedGPU {
    public let library: KernelLibrary
    public let stream: CUDA.Stream
    public let products: Products
    public let workspace: ProductWorkspace

    /// The dense matrix that the GPU makes of a sparse one, rows filled up to a multiple of 8 elements.
    public func expansion(of matrix: DeviceMatrix) throws -> [UInt16] {
        let count = matrix.rows * ((matrix.columns + 7) / 8 * 8)
        let target = try DeviceBuffer(byteCount: 2 * count, in: stream.context)
        try target.enqueueFill(0xFF, on: stream)
        try products.enqueueExpansion(of: matrix, to: target.address, on: stream)
        return try target.read(UInt16.self, count: count, on: stream)
    }

    /// Where kernels run.
    public enum Place: Sendable {
        /// A GPU of this machine. Code that is compiled is kept in the folder, if one is given; NVRTC is the file
        /// `compiler`, or in the usual places.
        case device(Int, cacheFolder: String? = nil, compiler: String? = nil)
        case emulator(
            seed: UInt64 = 0, timing: flash_emulator_timing = FLASH_EMULATOR_LAZY, memoryBytes: Int = 1 << 30,
            capability: Capability = .hopper)
    }

    /// A GPU's compute capability, by which it has more shared memory or less.
    public struct Capability: Sendable {
        let major: Int32
        let minor: Int32

        public static let ada = Capability(major: 8, minor: 9)
        public static let hopper = Capability(major: 9, minor: 0)
    }

    /// Holds the place, the emulator fresh, while `body` runs. Buffers must not leave it.
    public static func run<Result>(
        on place: Place = .emulator(), _ body: (TestedGPU) throws -> Result
    ) throws -> Result {
        switch place {
        case .device(let ordinal, let folder, let compiler):
            let driver = try CUDADriver.system()
            return try body(TestedGPU(driver, ordinal: ordinal, cacheFolder: folder, compiler: compiler))
        case .emulator(let seed, let timing, let memoryBytes, let capability):
            var options = flash_emulator_default_options()
            options.seed = seed
            options.timing = timing
            options.memory_bytes = memoryBytes
            options.capability_major = capability.major
            options.capability_minor = capability.minor
            return try emulated(options, body)
        }
    }

    private static func emulated<Result>(
        _ options: flash_emulator_options, _ body: (TestedGPU) throws -> Result
    ) throws -> Result {
        flash_emulator_acquire()
        defer { flash_emulator_release() }
        var options = options
        flash_emulator_reset()
        flash_emulator_configure(&options)
        defer { flash_emulator_reset() }
        do {
            var driver = flash_cuda_driver()
            var nvrtc = flash_nvrtc()
            flash_emulator_tables(&driver, &nvrtc)
            return try body(TestedGPU(CUDADriver(driver: driver, nvrtc: nvrtc), ordinal: 0, cacheFolder: nil))
        } catch {
            throw Failure(error: error, report: report)
        }
    }

    /// An error, and what the emulator knows about it.
    public struct Failure: Error, CustomStringConvertible {
        public let error: any Error
        public let report: String
        public var description: String { "\(error): \(report)" }
    }

    private init(
        _ driver: CUDADriver, ordinal: Int, cacheFolder: String?, compiler path: String? = nil
    ) throws {
        let context = try Context(driver.device(ordinal))
        let sources = KernelSource.embedded + Self.testSources
        let compiler = KernelCompiler(
            try driver.runtimeCompiler(path: path), sources: sources, cacheFolder: cacheFolder)
        library = KernelLibrary(context, compiler: compiler)
        stream = try CUDA.Stream(in: context)
        products = Products(library)
        workspace = try ProductWorkspace(on: stream)
    }

    /// Kernels that exist for tests, and what they include.
    public static let testSources = (0..<flash_test_source_count()).map { index in
        KernelSource(
            name: String(cString: flash_test_source_name(index)), text: String(cString: flash_test_source_text(index)))
    }

    /// What went wrong last inside a kernel of the emulator.
    public static var report: String {
        var bytes = [CChar](repeating: 0, count: flash_emulator_report(nil, 0) + 1)
        _ = flash_emulator_report(&bytes, bytes.count)
        return String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The emulator's instructions that met conflicts of banks, the worst first.
    public static var conflicts: String {
        var bytes = [CChar](repeating: 0, count: flash_emulator_conflicts(nil, 0) + 1)
        _ = flash_emulator_conflicts(&bytes, bytes.count)
        return String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// What kernels have done on the emulator.
    public static var statistics: flash_emulator_statistics {
        var statistics = flash_emulator_statistics()
        flash_emulator_read_statistics(&statistics)
        return statistics
    }
}

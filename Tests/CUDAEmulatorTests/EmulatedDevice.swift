import CCUDA
import CUDAEmulator
import Testing

/// The emulator's first device, with a context and a module, through the C table that the driver layer uses.
struct EmulatedDevice {
    let driver: flash_cuda_driver
    let nvrtc: flash_nvrtc
    let module: CUmodule

    struct Failure: Error, CustomStringConvertible {
        let code: CUresult
        /// What the emulator says about it.
        let report: String
        var description: String { "\(code): \(report)" }
    }

    /// Holds the emulator, fresh and configured, while `body` runs.
    static func withDevice<Result>(
        seed: UInt64 = 0, timing: flash_emulator_timing = FLASH_EMULATOR_LAZY,
        configure: (inout flash_emulator_options) -> Void = { _ in },
        _ body: (EmulatedDevice) throws -> Result
    ) throws -> Result {
        flash_emulator_acquire()
        defer { flash_emulator_release() }
        var options = flash_emulator_default_options()
        options.seed = seed
        options.timing = timing
        configure(&options)
        flash_emulator_reset()
        flash_emulator_configure(&options)
        defer { flash_emulator_reset() }
        return try body(EmulatedDevice())
    }

    private init() throws {
        var driver = flash_cuda_driver()
        var nvrtc = flash_nvrtc()
        flash_emulator_tables(&driver, &nvrtc)
        try Self.check(driver.cuInit(0))
        var context: CUcontext?
        try Self.check(driver.cuDevicePrimaryCtxRetain(&context, 0))
        try Self.check(driver.cuCtxSetCurrent(context))
        let image = try Self.image(nvrtc)
        var module: CUmodule?
        try Self.check(driver.cuModuleLoadData(&module, image))
        self.driver = driver
        self.nvrtc = nvrtc
        self.module = try #require(module)
    }

    static func check(_ code: CUresult) throws {
        if code != 0 { throw Failure(code: code, report: report) }
    }

    /// What went wrong last.
    static var report: String { text(flash_emulator_report) }
    /// Lines about conflicts of banks.
    static var conflicts: String { text(flash_emulator_conflicts) }

    private static func text(_ read: (UnsafeMutablePointer<CChar>?, Int) -> Int) -> String {
        var bytes = [CChar](repeating: 0, count: read(nil, 0) + 1)
        _ = read(&bytes, bytes.count)
        return string(bytes)
    }

    static func string(_ bytes: [CChar]) -> String {
        String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static var statistics: flash_emulator_statistics {
        var statistics = flash_emulator_statistics()
        flash_emulator_read_statistics(&statistics)
        return statistics
    }

    static func image(_ nvrtc: flash_nvrtc, source: String = "", option: String = "--gpu-architecture=sm_90") throws
        -> [CChar]
    {
        var program: nvrtcProgram?
        try check(nvrtc.nvrtcCreateProgram(&program, source, "kernels.cu", 0, nil, nil))
        defer { _ = nvrtc.nvrtcDestroyProgram(&program) }
        let result = option.withCString { text in
            var options: [UnsafePointer<CChar>?] = [text]
            return nvrtc.nvrtcCompileProgram(program, 1, &options)
        }
        try check(result)
        var bytes = 0
        try check(nvrtc.nvrtcGetCUBINSize(program, &bytes))
        var image = [CChar](repeating: 0, count: bytes)
        try check(nvrtc.nvrtcGetCUBIN(program, &image))
        return image
    }

    func allocate(bytes: Int) throws -> CUdeviceptr {
        var pointer: CUdeviceptr = 0
        try Self.check(driver.cuMemAlloc_v2(&pointer, bytes))
        return pointer
    }

    func copy<Element: BitwiseCopyable>(_ elements: [Element]) throws -> CUdeviceptr {
        let bytes = elements.count * MemoryLayout<Element>.stride
        let pointer = try allocate(bytes: bytes)
        try Self.check(driver.cuMemcpyHtoDAsync_v2(pointer, elements, bytes, nil))
        return pointer
    }

    func read<Element: BitwiseCopyable>(_ pointer: CUdeviceptr, count: Int, as zero: Element) throws -> [Element] {
        var elements = [Element](repeating: zero, count: count)
        try Self.check(driver.cuMemcpyDtoHAsync_v2(&elements, pointer, count * MemoryLayout<Element>.stride, nil))
        return elements
    }

    func function(_ name: String) throws -> CUfunction {
        var function: CUfunction?
        try Self.check(driver.cuModuleGetFunction(&function, module, name))
        return try #require(function)
    }

    func launch<Parameters: BitwiseCopyable>(
        _ name: String, grid: (UInt32, UInt32) = (1, 1), threads: UInt32, sharedBytes: UInt32 = 0,
        stream: CUstream? = nil, _ parameters: Parameters
    ) throws {
        let function = try function(name)
        if sharedBytes > 48 << 10 { try Self.check(driver.cuFuncSetAttribute(function, 8, Int32(sharedBytes))) }
        var parameters = parameters
        try withUnsafeMutablePointer(to: &parameters) { pointer in
            var list: [UnsafeMutableRawPointer?] = [UnsafeMutableRawPointer(pointer)]
            try Self.check(
                driver.cuLaunchKernel(
                    function, grid.0, grid.1, 1, threads, 1, 1, sharedBytes, stream, &list, nil))
        }
    }
}

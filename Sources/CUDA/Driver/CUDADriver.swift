public import CCUDA
import Synchronization

/// NVIDIA's driver, as checked calls: the middle one of three strata.
///
/// Below it is the table of functions (`flash_cuda_driver`), which the loader fills from libcuda or a test from its
/// emulator; above it are the types that own what the driver hands out (``Context``, ``DeviceBuffer``, ``Stream``).
/// Those are final classes: weights, streams and kernels are shared by layers and graphs and stored in arrays, and
/// counting references costs nothing beside a call of the driver. Each releases what it holds once, when the last
/// reference goes, and keeps alive what it depends on.
///
/// Safety: the table never changes, and the driver's functions may be called by all threads at once.
public final class CUDADriver: @unchecked Sendable {
    /// The oldest driver that has all functions of the table.
    public static let neededVersion = CUDAVersion(major: 12, minor: 0)

    /// The newest CUDA that the driver supports.
    public let version: CUDAVersion
    /// The driver's library; nil if the system does not say.
    public let path: String?

    let functions: flash_cuda_driver
    /// Nil until it is needed: a driver without a compiler can still say what GPUs there are.
    private let compiler: Mutex<NVRTC?>

    private static let loaded: Result<CUDADriver, CUDAError> = {
        var table = flash_cuda_driver()
        if let reason = flash_cuda_load_driver(&table) {
            return .failure(.noDriver(reason: String(cString: reason)))
        }
        return Result { () throws(CUDAError) in try CUDADriver(driver: table) }
    }()

    /// The driver of this machine, loaded and initialised at the first call; later calls give the same result.
    /// - Throws: `noDriver`, `driverTooOld`, `noDevice`, `callFailed`.
    public static func system() throws(CUDAError) -> CUDADriver { try loaded.get() }

    /// A driver behind the table `driver`, and the compiler behind `nvrtc`: those of an emulator, for example.
    /// - Parameter nvrtc: nil for this machine's.
    /// - Throws: `incompleteTable`, `driverTooOld`, `noDevice`, `callFailed`.
    public init(driver: flash_cuda_driver, nvrtc: flash_nvrtc? = nil) throws(CUDAError) {
        var table = driver
        if let function = flash_cuda_missing_function(&table) {
            throw .incompleteTable(function: String(cString: function))
        }
        functions = table
        path = flash_cuda_driver_path(&table).map { String(cString: $0) }
        var number: Int32 = 0
        try Self.check(table.cuDriverGetVersion!(&number), "cuDriverGetVersion", table)
        version = CUDAVersion(number: Int(number))
        guard version >= Self.neededVersion else { throw .driverTooOld(found: version, needed: Self.neededVersion) }
        let result = table.cuInit!(0)
        if Int(result) == FLASH_CUDA_ERROR_NO_DEVICE { throw .noDevice }
        try Self.check(result, "cuInit", table)
        if let nvrtc {
            compiler = Mutex(try NVRTC(table: nvrtc))
        } else {
            compiler = Mutex(nil)
        }
    }

    /// The compiler that goes with this driver: the one that was handed in, else this machine's, of the driver's own
    /// major version if it can be had, loaded at the first call that finds it.
    /// - Parameter path: the library's file; nil to look in the usual places.
    /// - Throws: `noCompiler`, `compilerFailed`.
    public func runtimeCompiler(path: String? = nil) throws(CUDAError) -> NVRTC {
        let found = compiler.withLock { kept in
            if let kept { return Result<NVRTC, CUDAError>.success(kept) }
            let loaded = Result { () throws(CUDAError) in try NVRTC.load(path: path, major: version.major) }
            kept = try? loaded.get()
            return loaded
        }
        return try found.get()
    }

    /// - Throws: `callFailed` with the call's name, code and the driver's own words, unless `result` is success.
    func check(_ result: CUresult, _ call: String) throws(CUDAError) {
        if result != 0 { try Self.check(result, call, functions) }
    }

    private static func check(
        _ result: CUresult, _ call: String, _ functions: borrowing flash_cuda_driver
    ) throws(CUDAError) {
        guard result != 0 else { return }
        var name: UnsafePointer<CChar>?
        var text: UnsafePointer<CChar>?
        _ = functions.cuGetErrorName!(result, &name)
        _ = functions.cuGetErrorString!(result, &text)
        throw .callFailed(
            call: call, code: Int(result), name: name.map { String(cString: $0) } ?? "an unknown error",
            text: text.map { String(cString: $0) } ?? "the driver gives no reason")
    }
}

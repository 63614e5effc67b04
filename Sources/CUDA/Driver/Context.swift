import CCUDA

/// What this process has on one GPU: its memory, streams and kernels live in it, and each keeps it alive.
///
/// It is the device's primary context, which all libraries of the process share (cuBLAS uses it, too). The driver
/// remembers the current context for each thread, and Swift's tasks change threads, so every operation makes its
/// context current first: a look at a variable of the thread inside the driver if it is so already.
///
/// Safety: the handle never changes, and the driver's functions may be called by all threads at once.
public final class Context: @unchecked Sendable {
    public let device: Device
    let driver: CUDADriver
    private let handle: CUcontext

    /// The newest CUDA that the driver supports: libraries of that major version go with it.
    public var driverVersion: CUDAVersion { driver.version }

    /// - Throws: `deviceTooOld`, `callFailed`.
    public init(_ device: Device) throws(CUDAError) {
        guard device.capability >= Capability.needed else {
            throw .deviceTooOld(name: device.name, found: device.capability, needed: .needed)
        }
        self.device = device
        driver = device.driver
        var handle: CUcontext?
        try driver.check(
            driver.functions.cuDevicePrimaryCtxRetain!(&handle, device.handle), "cuDevicePrimaryCtxRetain")
        guard let handle else { preconditionFailure("cuDevicePrimaryCtxRetain succeeded and gave no context") }
        self.handle = handle
    }

    deinit {
        // It fails only if the driver has ended before, and then there is nothing left to release.
        _ = driver.functions.cuDevicePrimaryCtxRelease_v2!(device.handle)
    }

    /// Makes this context the calling thread's and calls the driver.
    /// - Parameters:
    ///   - call: the function's name, for errors.
    ///   - body: the call; it must not let the table escape.
    /// - Throws: `callFailed`.
    func call(_ call: String, _ body: (borrowing flash_cuda_driver) -> CUresult) throws(CUDAError) {
        try makeCurrent()
        try driver.check(body(driver.functions), call)
    }

    /// Makes this context the calling thread's, for libraries that use the current one (cuBLAS, cuSPARSE, peers).
    /// - Throws: `callFailed`.
    public func makeCurrent() throws(CUDAError) {
        try driver.check(driver.functions.cuCtxSetCurrent!(handle), "cuCtxSetCurrent")
    }

    /// Calls the driver to release something. A failure is one of earlier work that is reported again, or means that
    /// the driver has ended: both were or will be thrown elsewhere, and neither leaves anything to do here.
    func release(_ body: (borrowing flash_cuda_driver) -> CUresult) {
        _ = driver.functions.cuCtxSetCurrent!(handle)
        _ = body(driver.functions)
    }

    /// Bytes of the GPU's memory that are free now, whoever uses the others, and all there are.
    /// - Throws: `callFailed`.
    public func memory() throws(CUDAError) -> (freeBytes: Int, totalBytes: Int) {
        var free = 0
        var total = 0
        try call("cuMemGetInfo_v2") { $0.cuMemGetInfo_v2!(&free, &total) }
        return (free, total)
    }

    /// Waits until all work of the context is done.
    /// - Throws: `callFailed`, also for work that failed since the last wait.
    public func synchronize() throws(CUDAError) {
        try call("cuCtxSynchronize") { $0.cuCtxSynchronize!() }
    }
}

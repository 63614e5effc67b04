import CCUDA

/// A kernel that can be launched: a function of a module, its needs and limits.
public final class Kernel: @unchecked Sendable {
    public let module: Module
    public let name: String
    /// Registers of each thread.
    public let registers: Int
    /// Local memory of each thread: spilled registers and arrays that are not indexed by constants.
    public let localBytes: Int
    public let staticSharedBytes: Int
    /// What a launch may ask for beside the static part. Above 48 KB it must be asked for, which is done here.
    public let maximumSharedBytes: Int
    /// What `__launch_bounds__` and the registers allow.
    public let maximumThreadsPerBlock: Int
    /// The size of its one parameter; nil if the driver does not say (before CUDA 12.4).
    public let parameterBytes: Int?

    let handle: CUfunction

    /// - Throws: `unknownKernel`, `callFailed`.
    public init(named name: String, in module: Module) throws(CUDAError) {
        let context = module.context
        let handle = try module.function(named: name)
        func attribute(_ number: Int) throws(CUDAError) -> Int {
            var value: Int32 = 0
            try context.call("cuFuncGetAttribute") { $0.cuFuncGetAttribute!(&value, Int32(number), handle) }
            return Int(value)
        }
        self.module = module
        self.name = name
        self.handle = handle
        registers = try attribute(FLASH_CUDA_FUNCTION_REGISTERS)
        localBytes = try attribute(FLASH_CUDA_FUNCTION_LOCAL_BYTES)
        maximumThreadsPerBlock = try attribute(FLASH_CUDA_FUNCTION_MAX_THREADS)
        let staticBytes = try attribute(FLASH_CUDA_FUNCTION_STATIC_SHARED_BYTES)
        staticSharedBytes = staticBytes
        let device = context.device
        let dynamicBytes = max(device.sharedBytesPerBlockOptIn, device.sharedBytesPerBlock) - staticBytes
        maximumSharedBytes = dynamicBytes
        if dynamicBytes > device.sharedBytesPerBlock - staticBytes {
            // Only a limit: how many blocks fit a multiprocessor depends on what launches ask for.
            try context.call("cuFuncSetAttribute") {
                $0.cuFuncSetAttribute!(
                    handle, Int32(FLASH_CUDA_FUNCTION_MAX_DYNAMIC_SHARED_BYTES), Int32(dynamicBytes))
            }
        }
        parameterBytes = try Self.parameterBytes(of: handle, context)
    }

    private static func parameterBytes(of handle: CUfunction, _ context: Context) throws(CUDAError) -> Int? {
        guard context.driver.functions.cuFuncGetParamInfo != nil else { return nil }
        var offset = 0
        var bytes = 0
        try context.call("cuFuncGetParamInfo") { $0.cuFuncGetParamInfo!(handle, 0, &offset, &bytes) }
        return bytes
    }

    /// How many blocks of `threads` threads and `sharedBytes` dynamic bytes run on a multiprocessor at once.
    /// - Throws: `callFailed`.
    public func blocksPerMultiprocessor(threads: Int, sharedBytes: Int = 0) throws(CUDAError) -> Int {
        var blocks: Int32 = 0
        try module.context.call("cuOccupancyMaxActiveBlocksPerMultiprocessor") {
            $0.cuOccupancyMaxActiveBlocksPerMultiprocessor!(&blocks, handle, Int32(clamping: threads), sharedBytes)
        }
        return Int(blocks)
    }
}

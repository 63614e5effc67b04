import CCUDA

/// A GPU and its limits, asked for once.
public struct Device: Sendable {
    /// Its place among the GPUs that the driver shows, from 0.
    public let ordinal: Int
    public let name: String
    public let capability: Capability
    public let memoryBytes: Int
    public let multiprocessors: Int
    public let l2Bytes: Int
    /// What one block may have without and with asking for it, and what all blocks of a multiprocessor share.
    public let sharedBytesPerBlock: Int
    public let sharedBytesPerBlockOptIn: Int
    public let sharedBytesPerMultiprocessor: Int
    public let maximumThreadsPerBlock: Int
    public let maximumGrid: LaunchSize
    /// The highest clock of the multiprocessors; 0 if the driver does not say.
    public let clockHertz: Double
    /// The memory's clock times its width times two transfers a clock; nil if the driver does not say. Copies reach
    /// some 90 % of it.
    public let nominalBytesPerSecond: Double?

    let handle: CUdevice
    let driver: CUDADriver

    /// - Throws: `badOrdinal`, `callFailed`.
    fileprivate init(ordinal: Int, driver: CUDADriver) throws(CUDAError) {
        let count = try driver.deviceCount()
        guard (0..<count).contains(ordinal) else { throw .badOrdinal(asked: ordinal, count: count) }
        var handle: CUdevice = 0
        try driver.check(driver.functions.cuDeviceGet!(&handle, Int32(ordinal)), "cuDeviceGet")
        let device = handle
        func attribute(_ number: Int) throws(CUDAError) -> Int {
            var value: Int32 = 0
            try driver.check(
                driver.functions.cuDeviceGetAttribute!(&value, Int32(number), device), "cuDeviceGetAttribute")
            return Int(value)
        }
        self.ordinal = ordinal
        self.driver = driver
        self.handle = handle
        name = try Self.name(of: handle, driver)
        var bytes = 0
        try driver.check(driver.functions.cuDeviceTotalMem_v2!(&bytes, handle), "cuDeviceTotalMem_v2")
        memoryBytes = bytes
        capability = Capability(
            major: try attribute(FLASH_CUDA_CAPABILITY_MAJOR), minor: try attribute(FLASH_CUDA_CAPABILITY_MINOR))
        multiprocessors = try attribute(FLASH_CUDA_MULTIPROCESSORS)
        l2Bytes = try attribute(FLASH_CUDA_L2_BYTES)
        sharedBytesPerBlock = try attribute(FLASH_CUDA_MAX_SHARED_BYTES_PER_BLOCK)
        sharedBytesPerBlockOptIn = try attribute(FLASH_CUDA_MAX_SHARED_BYTES_PER_BLOCK_OPT_IN)
        sharedBytesPerMultiprocessor = try attribute(FLASH_CUDA_SHARED_BYTES_PER_MULTIPROCESSOR)
        maximumThreadsPerBlock = try attribute(FLASH_CUDA_MAX_THREADS_PER_BLOCK)
        maximumGrid = LaunchSize(
            try attribute(FLASH_CUDA_MAX_GRID_X), try attribute(FLASH_CUDA_MAX_GRID_Y),
            try attribute(FLASH_CUDA_MAX_GRID_Z))
        clockHertz = Double(try attribute(FLASH_CUDA_CLOCK_KILOHERTZ)) * 1e3
        let clock = try attribute(FLASH_CUDA_MEMORY_CLOCK_KILOHERTZ)
        let bits = try attribute(FLASH_CUDA_MEMORY_BUS_BITS)
        nominalBytesPerSecond = clock > 0 && bits > 0 ? Double(clock) * 1e3 * 2 * Double(bits) / 8 : nil
    }

    private static func name(of handle: CUdevice, _ driver: CUDADriver) throws(CUDAError) -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        try driver.check(driver.functions.cuDeviceGetName!(&bytes, Int32(bytes.count), handle), "cuDeviceGetName")
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension CUDADriver {
    /// The number of GPUs that the driver shows.
    /// - Throws: `callFailed`.
    public func deviceCount() throws(CUDAError) -> Int {
        var count: Int32 = 0
        try check(functions.cuDeviceGetCount!(&count), "cuDeviceGetCount")
        return Int(count)
    }

    /// The GPU with the number `ordinal`, from 0.
    /// - Throws: `badOrdinal`, `callFailed`.
    public func device(_ ordinal: Int = 0) throws(CUDAError) -> Device { try Device(ordinal: ordinal, driver: self) }

    /// All GPUs, whether our kernels run on them or not.
    /// - Throws: `callFailed`.
    public func devices() throws(CUDAError) -> [Device] {
        var devices: [Device] = []
        for ordinal in 0..<(try deviceCount()) { devices.append(try device(ordinal)) }
        return devices
    }
}

import CCUDA

extension Kernel {
    /// Gives the kernel to `stream`; returns before the GPU has begun.
    ///
    /// - Parameters:
    ///   - grid: blocks.
    ///   - block: threads of each block.
    ///   - sharedBytes: dynamic shared memory of each block.
    ///   - parameters: the struct that the kernel declares (gpu_parameters.h); copied. The memory that its addresses
    ///     mean must live until the kernel is done: ``DeviceBuffer`` waits for that when it goes.
    ///   - isEarly: whether the kernel may begin while the kernel before it in the stream still runs, where GPU and
    ///     driver can (compute capability 9.0, CUDA 12.4). It must call `wait_for_kernel_before` (gpu_ptx.cuh) before
    ///     it reads what kernels write or writes anything.
    /// - Throws: `badLaunch` for a number beyond a limit, `wrongParameters`, before anything is called; `callFailed`.
    public func launch<Parameters: BitwiseCopyable>(
        grid: LaunchSize, block: LaunchSize, sharedBytes: Int = 0, parameters: Parameters,
        isEarly: Bool = false, on stream: Stream
    ) throws(CUDAError) {
        try check(grid: grid, block: block, sharedBytes: sharedBytes)
        if let expected = parameterBytes, expected != MemoryLayout<Parameters>.size {
            throw .wrongParameters(kernel: name, expectedBytes: expected, foundBytes: MemoryLayout<Parameters>.size)
        }
        var parameters = parameters
        let begin = isEarly ? earlyLaunch : nil
        try module.context.call(begin == nil ? "cuLaunchKernel" : "cuLaunchKernelEx") { functions in
            withUnsafeMutablePointer(to: &parameters) { address in
                var pointer: UnsafeMutableRawPointer? = UnsafeMutableRawPointer(address)
                guard let begin else {
                    return functions.cuLaunchKernel!(
                        handle, UInt32(grid.x), UInt32(grid.y), UInt32(grid.z), UInt32(block.x), UInt32(block.y),
                        UInt32(block.z), UInt32(sharedBytes), stream.handle, &pointer, nil)
                }
                var attribute = flash_cuda_launch_attribute()
                attribute.id = UInt32(FLASH_CUDA_LAUNCH_PROGRAMMATIC_SERIALIZATION)
                attribute.value.0 = 1
                return withUnsafeMutablePointer(to: &attribute) { attributes in
                    var launch = flash_cuda_launch(
                        grid_x: UInt32(grid.x), grid_y: UInt32(grid.y), grid_z: UInt32(grid.z),
                        block_x: UInt32(block.x), block_y: UInt32(block.y), block_z: UInt32(block.z),
                        shared_bytes: UInt32(sharedBytes), stream: stream.handle, attributes: attributes,
                        attribute_count: 1)
                    return begin(&launch, handle, &pointer, nil)
                }
            }
        }
    }

    private typealias EarlyLaunch =
        @convention(c) (
            UnsafePointer<flash_cuda_launch>?, CUfunction?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
            UnsafeMutablePointer<UnsafeMutableRawPointer?>?
        ) -> CUresult

    /// Graphs take such launches from CUDA 12.3 on; nil where GPU or driver cannot.
    private var earlyLaunch: EarlyLaunch? {
        let driver = module.context.driver
        guard module.context.device.capability.major >= 9, driver.version >= CUDAVersion(major: 12, minor: 4) else {
            return nil
        }
        return driver.functions.cuLaunchKernelEx
    }

    private func check(grid: LaunchSize, block: LaunchSize, sharedBytes: Int) throws(CUDAError) {
        func require(_ what: String, _ found: Int, _ allowed: ClosedRange<Int>) throws(CUDAError) {
            guard allowed.contains(found) else {
                throw .badLaunch(kernel: name, what: what, found: found, allowed: allowed)
            }
        }
        let limits = module.context.device.maximumGrid
        try require("the grid's x", grid.x, 1...limits.x)
        try require("the grid's y", grid.y, 1...limits.y)
        try require("the grid's z", grid.z, 1...limits.z)
        // Each below the limit of all, so that the product cannot overflow.
        let threads = maximumThreadsPerBlock
        for extent in [block.x, block.y, block.z] {
            try require("each extent of a block", extent, 1...threads)
        }
        try require("a block's threads", block.x * block.y * block.z, 1...threads)
        try require("a block's dynamic shared bytes", sharedBytes, 0...maximumSharedBytes)
    }
}

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
    /// - Throws: `badLaunch` for a number beyond a limit, `wrongParameters`, before anything is called; `callFailed`.
    public func launch<Parameters: BitwiseCopyable>(
        grid: LaunchSize, block: LaunchSize, sharedBytes: Int = 0, parameters: Parameters, on stream: Stream
    ) throws(CUDAError) {
        try check(grid: grid, block: block, sharedBytes: sharedBytes)
        if let expected = parameterBytes, expected != MemoryLayout<Parameters>.size {
            throw .wrongParameters(kernel: name, expectedBytes: expected, foundBytes: MemoryLayout<Parameters>.size)
        }
        var parameters = parameters
        try module.context.call("cuLaunchKernel") { functions in
            withUnsafeMutablePointer(to: &parameters) { address in
                var pointer: UnsafeMutableRawPointer? = UnsafeMutableRawPointer(address)
                return functions.cuLaunchKernel!(
                    handle, UInt32(grid.x), UInt32(grid.y), UInt32(grid.z), UInt32(block.x), UInt32(block.y),
                    UInt32(block.z), UInt32(sharedBytes), stream.handle, &pointer, nil)
            }
        }
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

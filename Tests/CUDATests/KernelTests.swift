import CCUDA
import CUDA
import Dispatch
import FakeCUDA
import Testing

extension FakeDriverTests {
    @Suite struct KernelTests {
        @Test func runsTheProbe() throws {
            try FakeDriverTests.expectBalance {
                let gpu = try TestedGPU()
                let kernel = try gpu.probe()
                #expect(kernel.registers == 12 && kernel.staticSharedBytes == 1024 && kernel.localBytes == 0)
                #expect(kernel.maximumThreadsPerBlock == 256 && kernel.maximumSharedBytes == 226 << 10)
                #expect(try kernel.blocksPerMultiprocessor(threads: 256) == 8)
                let input = try DeviceBuffer([UInt32](0..<1000), on: gpu.stream)
                let output = try DeviceBuffer(byteCount: 4000, in: gpu.context)
                let parameters = flash_gpu_probe(
                    input: input.address, output: output.address, count: 1000, addend: 7)
                try kernel.launch(grid: 4, block: 256, parameters: parameters, on: gpu.stream)
                #expect(try output.read(UInt32.self, count: 1000, on: gpu.stream) == [UInt32](7..<1007))
            }
        }

        @Test func recordsAndLaunchesAGraph() throws {
            try FakeDriverTests.expectBalance {
                let gpu = try TestedGPU()
                let kernel = try gpu.probe()
                let data = try DeviceBuffer([UInt32](0..<8), on: gpu.stream)
                let parameters = flash_gpu_probe(input: data.address, output: data.address, count: 8, addend: 3)
                let graph = try Graph(capturing: gpu.stream, keeping: [data, kernel]) { () throws(CUDAError) in
                    try kernel.launch(grid: 1, block: 256, parameters: parameters, on: gpu.stream)
                }
                #expect(try data.read(UInt32.self, count: 8, on: gpu.stream) == [UInt32](0..<8))
                for _ in 0..<2 { try graph.launch(on: gpu.stream) }
                #expect(try data.read(UInt32.self, count: 8, on: gpu.stream) == [UInt32](6..<14))
            }
        }

        /// What the body throws comes out, and the stream takes work again.
        @Test func endsACaptureThatFails() throws {
            try FakeDriverTests.expectBalance {
                let gpu = try TestedGPU()
                #expect(throws: CUDAError.noDevice) {
                    try Graph(capturing: gpu.stream) { () throws(CUDAError) in throw .noDevice }
                }
                _ = try Graph(capturing: gpu.stream) {}
            }
        }

        @Test func checksLimitsBeforeTheCall() throws {
            let gpu = try TestedGPU()
            let kernel = try gpu.probe()
            let parameters = flash_gpu_probe(input: 0, output: 0, count: 0, addend: 0)
            func refuses(
                _ what: String, _ found: Int, _ allowed: ClosedRange<Int>, grid: LaunchSize = 1,
                block: LaunchSize = 256, shared: Int = 0
            ) {
                #expect(throws: CUDAError.badLaunch(kernel: "probe_add", what: what, found: found, allowed: allowed)) {
                    try kernel.launch(
                        grid: grid, block: block, sharedBytes: shared, parameters: parameters, on: gpu.stream)
                }
            }
            refuses("the grid's x", 0, 1...0x7FFF_FFFF, grid: 0)
            refuses("the grid's x", 1 << 31, 1...0x7FFF_FFFF, grid: LaunchSize(1 << 31))
            refuses("the grid's y", 65536, 1...65535, grid: LaunchSize(1, 65536))
            refuses("the grid's z", -1, 1...65535, grid: LaunchSize(1, 1, -1))
            refuses("each extent of a block", 257, 1...256, block: 257)
            refuses("each extent of a block", 0, 1...256, block: LaunchSize(1, 0))
            refuses("a block's threads", 512, 1...256, block: LaunchSize(16, 16, 2))
            refuses("a block's dynamic shared bytes", 231_425, 0...231_424, shared: 231_425)
            try kernel.launch(grid: 1, block: 256, sharedBytes: 231_424, parameters: parameters, on: gpu.stream)
            let error = #expect(throws: CUDAError.self) {
                try kernel.launch(grid: 1, block: 1, parameters: UInt64(0), on: gpu.stream)
            }
            #expect(error == .wrongParameters(kernel: "probe_add", expectedBytes: 24, foundBytes: 8))
            #expect(error?.description == "the kernel probe_add takes parameters of 24 bytes, found 8")
        }

        @Test func isAskedByManyThreads() throws {
            try FakeDriverTests.expectBalance {
                let gpu = try TestedGPU()
                let compiler = KernelCompiler(try gpu.driver.runtimeCompiler(), cacheFolder: nil)
                let library = KernelLibrary(gpu.context, compiler: compiler)
                let before = fake_compilations()
                let failures = LockedCount()
                DispatchQueue.concurrentPerform(iterations: 64) { _ in
                    // Each launch makes its context current on whatever thread this is.
                    let kernel = try? library.kernel(named: "probe_add", in: "probe.cu")
                    let parameters = flash_gpu_probe(input: 0, output: 0, count: 0, addend: 0)
                    let launched: Void? = try? kernel?.launch(
                        grid: 1, block: 1, parameters: parameters, on: gpu.stream)
                    if launched == nil { failures.add() }
                }
                #expect(failures.count == 0 && fake_compilations() == before + 1)
            }
        }

        @Test func saysThatTheCompilerIsTooNew() throws {
            let gpu = try TestedGPU()
            fake_fail_next("cuModuleLoadData", 200)
            let error = #expect(throws: CUDAError.self) { try gpu.probe() }
            #expect(
                error?.description == "the driver, which is for CUDA 12.4, does not take the code of NVRTC 13.0: "
                    + "install NVRTC 12 or a newer driver")
        }

        @Test func compilesAFileOnce() throws {
            try FakeDriverTests.expectBalance {
                let gpu = try TestedGPU()
                let compiler = KernelCompiler(try gpu.driver.runtimeCompiler(), cacheFolder: nil)
                let library = KernelLibrary(gpu.context, compiler: compiler)
                let before = fake_compilations()
                let kernel = try library.kernel(named: "probe_add", in: "probe.cu")
                #expect(try library.kernel(named: "probe_add", in: "probe.cu") === kernel)
                #expect(throws: CUDAError.unknownKernel(name: "add", file: "probe.cu")) {
                    try library.kernel(named: "add", in: "probe.cu")
                }
                #expect(fake_compilations() == before + 1)
                let error = #expect(throws: CUDAError.self) { try library.kernel(named: "add", in: "gpu.cuh") }
                #expect(error?.description.hasPrefix("there is no kernel file gpu.cuh: known are ") == true)
            }
        }
    }
}

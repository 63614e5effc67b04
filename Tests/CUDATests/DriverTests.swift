import CCUDA
import CUDA
import FakeCUDA
import Testing

extension FakeDriverTests {
    @Suite struct DriverTests {
        @Test func describesTheDevice() throws {
            let driver = try CUDADriver.underTest()
            #expect(driver.version == CUDAVersion(major: 12, minor: 4) && driver.path != nil)
            let devices = try driver.devices()
            #expect(devices.count == 1)
            let device = try driver.device(0)
            #expect(device.name == "Abacus GPU" && device.capability == Capability(major: 9, minor: 0))
            #expect(device.multiprocessors == 132 && device.memoryBytes == 1 << 30 && device.l2Bytes == 50 << 20)
            #expect(device.sharedBytesPerBlock == 48 << 10 && device.sharedBytesPerBlockOptIn == 227 << 10)
            #expect(device.maximumGrid == LaunchSize(0x7FFF_FFFF, 65535, 65535))
            // 2619 MHz, 5120 bits, two transfers a clock.
            #expect(device.nominalBytesPerSecond == 3352.32e9)
        }

        @Test func refusesWhatItCannotUse() throws {
            #expect(throws: CUDAError.badOrdinal(asked: 1, count: 1)) { try CUDADriver.underTest().device(1) }
            #expect(throws: CUDAError.badOrdinal(asked: -1, count: 1)) { try CUDADriver.underTest().device(-1) }
            fake_set_version(11080)
            let tooOld = CUDAError.driverTooOld(
                found: CUDAVersion(major: 11, minor: 8), needed: CUDAVersion(major: 12, minor: 0))
            #expect(throws: tooOld) { try CUDADriver.underTest() }
            fake_set_version(12040)
            fake_set_devices(0)
            #expect(throws: CUDAError.noDevice) { try CUDADriver.underTest() }
            fake_set_devices(1)
            var table = fake_cuda_driver()
            table.cuMemFree_v2 = nil
            #expect(throws: CUDAError.incompleteTable(function: "cuMemFree_v2")) { try CUDADriver(driver: table) }
            var compiler = fake_nvrtc()
            compiler.nvrtcGetErrorString = nil
            #expect(throws: CUDAError.incompleteTable(function: "nvrtcGetErrorString")) { try NVRTC(table: compiler) }
        }

        @Test func namesCallCodeAndText() throws {
            fake_fail_next("cuInit", 999)
            let error = #expect(throws: CUDAError.self) { try CUDADriver.underTest() }
            #expect(
                error?.description
                    == "the NVIDIA driver's cuInit failed with an unknown error (999): the driver gives no reason")
            let gpu = try TestedGPU()
            fake_fail_next("cuStreamSynchronize", 700)
            let second = #expect(throws: CUDAError.self) { try gpu.stream.synchronize() }
            #expect(
                second?.description == "the NVIDIA driver's cuStreamSynchronize failed with CUDA_ERROR_ILLEGAL_ADDRESS "
                    + "(700): an illegal memory access was encountered")
        }

        /// The calls that make something, failing one after the other: nothing stays behind.
        @Test(arguments: [
            "cuDeviceGetCount", "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent",
            "cuStreamCreate", "cuMemAlloc_v2", "cuMemcpyHtoDAsync_v2", "cuMemHostAlloc", "cuEventCreate",
            "nvrtcCreateProgram", "nvrtcCompileProgram", "cuModuleLoadData", "cuModuleGetFunction",
            "cuFuncGetAttribute", "cuFuncSetAttribute", "cuStreamBeginCapture_v2", "cuLaunchKernel",
            "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphLaunch", "cuStreamSynchronize",
        ]) func leavesNothingBehind(failing call: String) throws {
            FakeDriverTests.expectBalance {
                fake_fail_next(call, 700)
                #expect(throws: CUDAError.self, "\(call)") { try Self.useEverything() }
            }
        }

        @Test func releasesEverythingOnce() throws {
            try FakeDriverTests.expectBalance { try Self.useEverything() }
        }

        private static func useEverything() throws {
            let gpu = try TestedGPU()
            let buffer = try DeviceBuffer([UInt32](0..<4), on: gpu.stream)
            let pinned = try PinnedBuffer(byteCount: 16, in: gpu.context)
            let event = try Event(in: gpu.context)
            let kernel = try gpu.probe()
            let parameters = flash_gpu_probe(
                input: buffer.address, output: buffer.address, count: 4, addend: 1)
            let graph = try Graph(capturing: gpu.stream) { () throws(CUDAError) in
                try kernel.launch(grid: 1, block: 256, parameters: parameters, on: gpu.stream)
            }
            try graph.launch(on: gpu.stream)
            try event.record(on: gpu.stream)
            try gpu.stream.wait(for: event)
            try buffer.enqueueCopy(to: pinned.bytes, on: gpu.stream)
            try gpu.stream.synchronize()
            #expect(Array(pinned.elements(as: UInt32.self)) == [1, 2, 3, 4])
        }

        /// A buffer may outlive the variables of what it lives in.
        @Test func keepsItsContext() throws {
            try FakeDriverTests.expectBalance {
                var buffer: DeviceBuffer? = try DeviceBuffer(byteCount: 8, in: TestedGPU().context)
                #expect(fake_live(Int32(FAKE_CONTEXT.rawValue)) == 1 && fake_live(Int32(FAKE_STREAM.rawValue)) == 0)
                #expect(buffer?.byteCount == 8)
                buffer = nil
                #expect(fake_live(Int32(FAKE_CONTEXT.rawValue)) == 0)
            }
        }
    }
}

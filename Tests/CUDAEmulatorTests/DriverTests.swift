import CCUDA
import CUDAEmulator
import Testing

/// The tables of the driver and of NVRTC behave as the real ones where we depend on it.
@Suite struct DriverTests {
    private static func probe(_ device: EmulatedDevice, count: Int = 64) throws -> flash_gpu_probe {
        flash_gpu_probe(
            input: try device.copy((0..<count).map { UInt32($0) }), output: try device.allocate(bytes: 4 * count),
            count: UInt32(count), addend: 5)
    }

    @Test func everyFunctionIsThere() {
        var driver = flash_cuda_driver(), nvrtc = flash_nvrtc()
        flash_emulator_tables(&driver, &nvrtc)
        func isFull<Table>(_ table: Table) -> Bool {
            withUnsafeBytes(of: table) { $0.bindMemory(to: UInt.self).allSatisfy { $0 != 0 } }
        }
        #expect(isFull(driver))
        #expect(isFull(nvrtc))
    }

    @Test func attributesDescribeTheDevice() throws {
        try EmulatedDevice.withDevice { device in
            func attribute(_ number: Int32) throws -> Int32 {
                var value: Int32 = -1
                try EmulatedDevice.check(device.driver.cuDeviceGetAttribute(&value, number, 0))
                return value
            }
            let values = try [1, 8, 10, 16, 75, 76, 97].map(attribute)
            #expect(values == [1024, 49152, 32, 4, 9, 0, 232448])
            #expect(throws: EmulatedDevice.Failure.self) { try attribute(9999) }
            var name = [CChar](repeating: 0, count: 64), count: Int32 = 0, bytes = 0
            #expect(device.driver.cuDeviceGetName(&name, 64, 0) == 0)
            #expect(EmulatedDevice.string(name) == "Emulated GPU")
            #expect(device.driver.cuDeviceGetCount(&count) == 0 && count == 1)
            #expect(device.driver.cuDeviceTotalMem_v2(&bytes, 0) == 0 && bytes == 1 << 30)
            #expect(device.driver.cuDeviceGetName(&name, 64, 1) == 101)
        }
    }

    @Test func withoutADeviceNothingBegins() throws {
        let failure = #expect(throws: EmulatedDevice.Failure.self) {
            try EmulatedDevice.withDevice(configure: { $0.devices = 0 }) { _ in }
        }
        #expect(failure?.code == 100)
    }

    @Test func olderDevicesRefuseCodeOfNewerOnes() throws {
        let failure = #expect(throws: EmulatedDevice.Failure.self) {
            try EmulatedDevice.withDevice(configure: { $0.capability_major = 8 }) { _ in }
        }
        #expect(failure?.code == 209)
    }

    @Test func errorsHaveNamesAndTexts() throws {
        try EmulatedDevice.withDevice { device in
            func name(_ error: CUresult) -> String? {
                var name: UnsafePointer<CChar>?
                return device.driver.cuGetErrorName(error, &name) == 0 ? name.map { String(cString: $0) } : nil
            }
            #expect(name(0) == "CUDA_SUCCESS")
            #expect(name(2) == "CUDA_ERROR_OUT_OF_MEMORY")
            #expect(name(700) == "CUDA_ERROR_ILLEGAL_ADDRESS")
            #expect(name(12345) == nil)
        }
    }

    @Test func memoryIsLimited() throws {
        try EmulatedDevice.withDevice(configure: { $0.memory_bytes = 1 << 20 }) { device in
            let first = try device.allocate(bytes: 1 << 19)
            var pointer: CUdeviceptr = 0, free = 0, total = 0
            #expect(device.driver.cuMemAlloc_v2(&pointer, 1 << 19 + 1) == 2)
            #expect(device.driver.cuMemGetInfo_v2(&free, &total) == 0)
            #expect(free == 1 << 19 && total == 1 << 20)
            #expect(device.driver.cuMemFree_v2(first) == 0)
            #expect(device.driver.cuMemFree_v2(first) == 1)
            #expect(device.driver.cuMemAlloc_v2(&pointer, 1 << 20) == 0)
        }
    }

    @Test func launchesBeyondTheLimitsAreRefused() throws {
        try EmulatedDevice.withDevice { device in
            let function = try device.function("probe_add")
            var parameters = try Self.probe(device)
            func launch(grid: UInt32 = 1, threads: UInt32 = 64, sharedBytes: UInt32 = 0) -> CUresult {
                withUnsafeMutablePointer(to: &parameters) { pointer in
                    var list: [UnsafeMutableRawPointer?] = [UnsafeMutableRawPointer(pointer)]
                    return device.driver.cuLaunchKernel(
                        function, grid, 1, 1, threads, 1, 1, sharedBytes, nil, &list, nil)
                }
            }
            #expect(launch() == 0)
            #expect(launch(grid: 0) == 1)
            #expect(launch(threads: 0) == 1)
            #expect(launch(threads: 257) == 701)
            #expect(launch(threads: 1025) == 1)
            #expect(launch(sharedBytes: 48 << 10) == 0)
            #expect(launch(sharedBytes: 48 << 10 + 1) == 1)
            #expect(device.driver.cuFuncSetAttribute(function, 8, 227 << 10) == 0)
            #expect(launch(sharedBytes: 227 << 10) == 0)
            #expect(device.driver.cuFuncSetAttribute(function, 8, 227 << 10 + 1) == 1)
            var blocks: Int32 = 0
            let occupancy = device.driver.cuOccupancyMaxActiveBlocksPerMultiprocessor
            #expect(occupancy?(&blocks, function, 256, 100 << 10) == 0 && blocks == 2)
        }
    }

    @Test func graphsRepeatWhatWasCaptured() throws {
        try EmulatedDevice.withDevice { device in
            let driver = device.driver
            var stream: CUstream?, other: CUstream?, fork: CUevent?, join: CUevent?, graph: CUgraph?
            var executable: CUgraphExec?
            try EmulatedDevice.check(driver.cuStreamCreate(&stream, 1))
            try EmulatedDevice.check(driver.cuStreamCreate(&other, 1))
            try EmulatedDevice.check(driver.cuEventCreate(&fork, 2))
            try EmulatedDevice.check(driver.cuEventCreate(&join, 2))
            var first = try Self.probe(device), second = first
            second.input = first.output
            second.output = try device.allocate(bytes: 256)
            try EmulatedDevice.check(driver.cuStreamBeginCapture_v2(stream, 0))
            try device.launch("probe_add", threads: 64, stream: stream, first)
            // The other stream is captured from here until the first one waits for it.
            try EmulatedDevice.check(driver.cuEventRecord(fork, stream))
            try EmulatedDevice.check(driver.cuStreamWaitEvent(other, fork, 0))
            try device.launch("probe_add", threads: 64, stream: other, second)
            try EmulatedDevice.check(driver.cuEventRecord(join, other))
            try EmulatedDevice.check(driver.cuStreamWaitEvent(stream, join, 0))
            try EmulatedDevice.check(driver.cuStreamEndCapture(stream, &graph))
            #expect(EmulatedDevice.statistics.launches == 0)
            // Parameters were copied when captured.
            first.addend = 100
            try EmulatedDevice.check(driver.cuGraphInstantiateWithFlags(&executable, graph, 0))
            for launches in 1...2 {
                try EmulatedDevice.check(driver.cuMemsetD32Async(second.output, 0, 64, nil))
                try EmulatedDevice.check(driver.cuGraphLaunch(executable, stream))
                #expect(try device.read(second.output, count: 64, as: UInt32(0)) == (10..<74).map { UInt32($0) })
                #expect(EmulatedDevice.statistics.launches == UInt64(2 * launches))
            }
            #expect(driver.cuGraphExecDestroy(executable) == 0)
            #expect(driver.cuGraphDestroy(graph) == 0)
            #expect(driver.cuGraphLaunch(executable, stream) == 400)
        }
    }

    @Test func waitingEndsACapture() throws {
        try EmulatedDevice.withDevice { device in
            var stream: CUstream?, graph: CUgraph?
            try EmulatedDevice.check(device.driver.cuStreamCreate(&stream, 1))
            #expect(device.driver.cuStreamEndCapture(stream, &graph) == 903)
            try EmulatedDevice.check(device.driver.cuStreamBeginCapture_v2(stream, 0))
            #expect(device.driver.cuStreamSynchronize(stream) == 900)
            #expect(device.driver.cuStreamEndCapture(stream, &graph) == 901)
            #expect(device.driver.cuStreamSynchronize(stream) == 0)
        }
    }

    @Test func eventsTellTheTime() throws {
        try EmulatedDevice.withDevice { device in
            var start: CUevent?, end: CUevent?, milliseconds: Float = -1
            try EmulatedDevice.check(device.driver.cuEventCreate(&start, 0))
            try EmulatedDevice.check(device.driver.cuEventCreate(&end, 0))
            #expect(device.driver.cuEventElapsedTime(&milliseconds, start, end) == 400)
            try EmulatedDevice.check(device.driver.cuEventRecord(start, nil))
            try device.launch("probe_add", threads: 64, Self.probe(device))
            try EmulatedDevice.check(device.driver.cuEventRecord(end, nil))
            #expect(device.driver.cuEventElapsedTime(&milliseconds, start, end) == 0)
            #expect(milliseconds > 0)
        }
    }

    @Test func compilerRefusesErrors() throws {
        try EmulatedDevice.withDevice { device in
            let nvrtc = device.nvrtc
            var program: nvrtcProgram?
            try EmulatedDevice.check(nvrtc.nvrtcCreateProgram(&program, "int a;\n#error no\n", "a.cu", 0, nil, nil))
            #expect(nvrtc.nvrtcCompileProgram(program, 0, nil) == 6)
            var bytes = 0
            #expect(nvrtc.nvrtcGetProgramLogSize(program, &bytes) == 0)
            var log = [CChar](repeating: 0, count: bytes)
            #expect(nvrtc.nvrtcGetProgramLog(program, &log) == 0)
            #expect(EmulatedDevice.string(log) == "a.cu(2): catastrophic error: #error no\n")
            #expect(nvrtc.nvrtcGetCUBINSize(program, &bytes) != 0)
            #expect(nvrtc.nvrtcDestroyProgram(&program) == 0)
            #expect(program == nil)
            #expect(throws: EmulatedDevice.Failure.self) {
                try EmulatedDevice.image(nvrtc, option: "--gpu-architecture=unknown")
            }
            var module: CUmodule?
            #expect(device.driver.cuModuleLoadData(&module, [UInt8](repeating: 0x7F, count: 512)) == 200)
            var function: CUfunction?
            #expect(device.driver.cuModuleGetFunction(&function, device.module, "no_such_kernel") == 500)
        }
    }

    @Test func failureLastsUntilTheContextIsGone() throws {
        try EmulatedDevice.withDevice { device in
            var parameters = try Self.probe(device)
            parameters.input += 4
            #expect(throws: EmulatedDevice.Failure.self) { try device.launch("probe_add", threads: 64, parameters) }
            var pointer: CUdeviceptr = 0, context: CUcontext?
            #expect(device.driver.cuMemAlloc_v2(&pointer, 16) == 700)
            #expect(device.driver.cuDevicePrimaryCtxRelease_v2(0) == 0)
            #expect(device.driver.cuMemAlloc_v2(&pointer, 16) == 201)
            #expect(device.driver.cuDevicePrimaryCtxRetain(&context, 0) == 0)
            #expect(device.driver.cuCtxSetCurrent(context) == 0)
            #expect(device.driver.cuMemAlloc_v2(&pointer, 16) == 0)
            // What the old context held went with it.
            #expect(device.driver.cuMemFree_v2(parameters.output) == 1)
        }
    }
}

import CUDA
import FakeCUDA
import Testing

extension CUDADriver {
    /// The driver that the tests of this target run on.
    static func underTest() throws(CUDAError) -> CUDADriver {
        try CUDADriver(driver: fake_cuda_driver(), nvrtc: fake_nvrtc())
    }
}

/// A context and a stream of the driver under test.
struct TestedGPU {
    let driver: CUDADriver
    let context: Context
    let stream: CUDA.Stream

    init() throws {
        driver = try CUDADriver.underTest()
        context = try Context(driver.device())
        stream = try CUDA.Stream(in: context)
    }

    /// probe_add of probe.cu.
    func probe() throws -> Kernel {
        let compiler = KernelCompiler(try driver.runtimeCompiler(), cacheFolder: nil)
        return try KernelLibrary(context, compiler: compiler).kernel(named: "probe_add", in: "probe.cu")
    }
}

/// Tests that count what the fake driver handed out, or let its calls fail: one after the other, because it is one for
/// the whole process.
@Suite(.serialized) enum FakeDriverTests {
    /// Runs `body` and checks that everything made in it was released, once, in a context.
    static func expectBalance(sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void) rethrows {
        let misuses = fake_misuses()
        let live = (0..<Int32(FAKE_KINDS.rawValue)).map(fake_live)
        try body()
        for (kind, count) in live.enumerated() {
            #expect(fake_live(Int32(kind)) == count, "kind \(kind)", sourceLocation: sourceLocation)
        }
        #expect(fake_misuses() == misuses, sourceLocation: sourceLocation)
    }
}

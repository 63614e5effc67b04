import CUDA
import Foundation
import ModelFixtures
import Testing

/// NVIDIA's own compiler, where it is installed; scripts/compile-kernels installs it. It needs no GPU.
enum RealCompiler {
    static let found: Result<NVRTC, CUDAError> = Result { () throws(CUDAError) in
        if let path = NVRTC.path(in: ProcessInfo.processInfo.environment) { return try NVRTC.load(path: path) }
        do throws(CUDAError) {
            return try NVRTC.load()
        } catch {
            guard let path = installed else { throw error }
            return try NVRTC.load(path: path)
        }
    }

    /// What scripts/compile-kernels has installed.
    private static let installed: String? = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".build/cuda/lib").path
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.map { "\(root)/\($0)/site-packages/nvidia/cu13/lib/libnvrtc.so.13" }
            .first { FileManager.default.fileExists(atPath: $0) }
    }()

    static var isInstalled: Bool { (try? found.get()) != nil }
}

@Suite(.enabled(if: RealCompiler.isInstalled, "NVRTC is not installed: scripts/compile-kernels installs it"))
struct RealCompilerTests {
    private static let architectures = ["sm_80", "sm_89", "sm_90"]

    /// What the compiler says of a kernel can be read. scripts/compile-kernels looks at all of them, for minutes.
    @Test(arguments: architectures) func saysWhatAKernelTakes(architecture: String) throws {
        let compiler = KernelCompiler(try RealCompiler.found.get(), cacheFolder: nil)
        var options = KernelOptions()
        options.reportsResources = true
        let capability = try #require(Capability(architecture: architecture))
        let output = try compiler.compile("probe.cu", for: capability, options: options)
        #expect(output.cubin.starts(with: [0x7F] + Array("ELF".utf8)))
        let kernels = KernelResources.parse(output.log)
        #expect(!kernels.isEmpty, "\(output.log)")
        for kernel in kernels {
            #expect(kernel.architecture == architecture)
            #expect(kernel.spillStoreBytes == 0 && kernel.spillLoadBytes == 0, "\(kernel)")
            #expect(kernel.stackBytes == 0, "\(kernel)")
        }
    }

    @Test func keepsWhatItCompiled() throws {
        let scratch = ScratchFolder()
        let compiler = KernelCompiler(try RealCompiler.found.get(), cacheFolder: scratch.path("kernels"))
        let first = try compiler.compile("probe.cu", for: Capability(major: 9, minor: 0))
        let second = try compiler.compile("probe.cu", for: Capability(major: 9, minor: 0))
        #expect(!first.isFromCache && second.isFromCache && first.cubin == second.cubin)
    }

    @Test func saysWhereASourceIsWrong() throws {
        let source = KernelSource(name: "bad.cu", text: "using word = int;\n__device__ word a = ;\n")
        let compiler = KernelCompiler(try RealCompiler.found.get(), sources: [source], cacheFolder: nil)
        let error = #expect(throws: CUDAError.self) {
            try compiler.compile("bad.cu", for: Capability(major: 9, minor: 0))
        }
        #expect(
            error?.description == "bad.cu cannot be compiled for sm_90: bad.cu(2): error: expected an expression")
    }

    @Test func saysWhatItCannotCompileFor() throws {
        let compiler = KernelCompiler(try RealCompiler.found.get(), cacheFolder: nil)
        let error = #expect(throws: CUDAError.self) {
            try compiler.compile("probe.cu", for: Capability(major: 99, minor: 0))
        }
        #expect(error?.description.contains("sm_990") == true || error?.description.contains("arch") == true)
    }
}

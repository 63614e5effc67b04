import CUDA
import Foundation
import ModelFixtures
import Testing

@Suite struct KernelSourceTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/CCUDA")
    private let scratch = ScratchFolder()

    /// Every file of the folder is embedded, as it is on disk: a new one needs its lines in sources.c.
    @Test func embedsEveryFile() throws {
        let kernels = try FileManager.default.contentsOfDirectory(atPath: Self.folder.appending(path: "kernels").path)
        let paths = kernels.map { "kernels/" + $0 } + ["include/gpu_parameters.h"]
        let expected = try paths.map { path in
            let bytes = try Data(contentsOf: Self.folder.appending(path: path))
            return KernelSource(
                name: String(path.split(separator: "/")[1]), text: String(decoding: bytes, as: UTF8.self))
        }.sorted { $0.name < $1.name }
        #expect(KernelSource.embedded.map(\.name) == expected.map(\.name))
        #expect(KernelSource.embedded == expected)
    }

    /// NVRTC reads C strings, and its messages are printed.
    @Test func isPlainText() {
        for source in KernelSource.embedded {
            #expect(source.text.utf8.allSatisfy { $0 == 10 || (32..<127).contains($0) }, "\(source.name)")
        }
    }

    @Test func readsTheAssemblersLog() {
        let log = """
            ptxas info    : 0 bytes gmem
            ptxas info    : Compiling entry function 'first' for 'sm_90'
            ptxas info    : Function properties for first
                0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
            ptxas info    : Used 8 registers, used 0 barriers
            ptxas info    : Compiling entry function 'second' for 'sm_90a'
            ptxas info    : Function properties for second
                24 bytes stack frame, 40 bytes spill stores, 56 bytes spill loads
            ptxas info    : Used 255 registers, used 1 barriers, 24 bytes cumulative stack size, 2048 bytes smem
            ptxas info    : Compile time = 4.101 ms

            """
        let found = KernelResources.parse(log)
        #expect(found.map(\.kernel) == ["first", "second"])
        #expect(found.map(\.architecture) == ["sm_90", "sm_90a"])
        #expect(found.map(\.registers) == [8, 255] && found.map(\.staticSharedBytes) == [0, 2048])
        #expect(found.map(\.stackBytes) == [0, 24])
        #expect(found.map(\.spillStoreBytes) == [0, 40] && found.map(\.spillLoadBytes) == [0, 56])
        for damaged in ["", "\n", "Compiling entry function", "Used x registers", " registers", "Used 8 registers"] {
            #expect(KernelResources.parse(damaged) == [])
        }
    }

    @Test func readsArchitectures() {
        #expect(Capability(architecture: "sm_90") == Capability(major: 9, minor: 0))
        #expect(Capability(architecture: "sm_120") == Capability(major: 12, minor: 0))
        #expect(Capability(architecture: "sm_120")?.architecture == "sm_120")
        for name in ["", "sm_", "sm_9", "sm_9000", "sm_90a", "sm90", "SM_90", "sm_-1", "sm_٩٠"] {
            #expect(Capability(architecture: name) == nil, "\(name)")
        }
    }

    private func chosen() throws(CUDAError) -> [KernelSource] {
        try KernelSource.chosen(in: ["FLASH_LLM_KERNELS": scratch.path("kernels")])
    }

    @Test func programsCarryTheirSources() throws {
        #expect(try KernelSource.chosen(in: [:]) == KernelSource.embedded)
        #expect(try KernelSource.chosen(in: ["FLASH_LLM_KERNELS": ""]) == KernelSource.embedded)
    }

    /// Files of a folder take the place of those of the same names; others there mean nothing.
    @Test func aFolderReplacesWhatItHas() throws {
        try FileManager.default.createDirectory(atPath: scratch.path("kernels"), withIntermediateDirectories: true)
        try Data("// changed\n".utf8).write(to: URL(fileURLWithPath: scratch.path("kernels/norm.cu")))
        try Data("// unknown\n".utf8).write(to: URL(fileURLWithPath: scratch.path("kernels/other.cu")))
        let sources = try chosen()
        #expect(sources.map(\.name) == KernelSource.embedded.map(\.name))
        for (source, carried) in zip(sources, KernelSource.embedded) {
            #expect(source.text == (source.name == "norm.cu" ? "// changed\n" : carried.text))
        }
    }

    @Test func aFolderWithoutKernelsIsRefused() throws {
        #expect(throws: CUDAError.noSources(folder: scratch.path("kernels"))) { try chosen() }
        let sentence = "FLASH_LLM_KERNELS names 'k', where no kernel file can be read"
        #expect("\(CUDAError.noSources(folder: "k"))" == sentence)
    }
}

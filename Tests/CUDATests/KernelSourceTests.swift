import CUDA
import Foundation
import ModelFixtures
import Testing

@Suite struct KernelSourceTests {
    private let scratch = ScratchFolder()

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

import CUDA
import CUDAEmulator
import Foundation
import GPUCases
import Testing

/// The launches that `gpu-check` compares between a GPU and the emulator.
@Suite struct FunctionCaseTests {
    /// Every kernel that gives results, whatever the order in which threads run: then a GPU must give them, too.
    @Test func theScheduleChangesNothing() throws {
        for function in FunctionCase.all {
            let first = try TestedGPU.run { try function.result(on: $0) }
            let place = TestedGPU.Place.emulator(seed: 5, timing: FLASH_EMULATOR_RANDOM)
            let second = try TestedGPU.run(on: place) { try function.result(on: $0) }
            #expect(function.differences(second, from: first).first == nil)
            #expect(first == second, "\(function.name)")
        }
    }

    /// NVIDIA's compiler takes the source that the emulator runs; it needs no GPU.
    @Test(.enabled(if: installedCompiler != nil, "NVRTC is not installed: scripts/compile-kernels installs it"))
    func compilesForGPUs() throws {
        let compiler = KernelCompiler(
            try NVRTC.load(path: Self.installedCompiler), sources: KernelSource.embedded + TestedGPU.testSources,
            cacheFolder: nil)
        let output = try compiler.compile("functions.cu", for: #require(Capability(architecture: "sm_90")))
        #expect(output.cubin.starts(with: [0x7F] + Array("ELF".utf8)))
    }

    private static let installedCompiler: String? = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".build/cuda/lib").path
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.map { "\(root)/\($0)/site-packages/nvidia/cu13/lib/libnvrtc.so.13" }
            .first { FileManager.default.fileExists(atPath: $0) }
    }()

    @Test func tellsDifferences() throws {
        for function in FunctionCase.all {
            let found = try TestedGPU.run { try function.result(on: $0) }
            var other = found
            // The sign of a large number, or all bits.
            let index = found.firstIndex { $0 != 0 } ?? 0
            other[index] ^= 0xC000_0000
            let differences = function.differences(other, from: found)
            #expect(differences.count == 1, "\(function.name)")
            #expect(differences.first?.hasPrefix("\(function.name): word \(index) ") == true)
        }
    }
}

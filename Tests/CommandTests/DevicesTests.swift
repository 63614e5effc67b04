import Foundation
import ModelFixtures
import OrderedJSON
import Testing

/// `flash-llm devices`, with libraries of our own in NVIDIA's place, so that it does not matter what the machine has.
@Suite struct DevicesTests {
    private let scratch = ScratchFolder()

    private func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Tool.Outcome {
        let own = ["LD_LIBRARY_PATH": scratch.path, "FLASH_LLM_NVRTC": scratch.path("libcuda.so.1")]
        return try Tool.start(arguments, in: scratch, environment: own.merging(environment) { $1 }).wait()
    }

    /// Builds Tests/FakeCUDA as libcuda.so.1; it has the functions of NVRTC, too.
    private func buildFakeDriver() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let outcome = try Tool.shell(
            "cd \(root) && clang -shared -fPIC -std=gnu2x -DFAKE_CUDA_EXPORTS -ISources/CCUDA/include "
                + "-ITests/FakeCUDA/include Tests/FakeCUDA/*.c -o \(scratch.path("libcuda.so.1"))",
            in: scratch)
        try #require(outcome.status == 0, "\(outcome.errors)")
    }

    #if os(Linux)
    @Test func listsGPUs() throws {
        try buildFakeDriver()
        let text = try run("devices")
        #expect(text.status == 0 && text.errors == "")
        let lines = text.output.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0].hasPrefix("CPU     ") && lines[0].contains(" thread"))
        #expect(lines[1] == "driver  CUDA 12.4, \(scratch.path("libcuda.so.1"))")
        #expect(lines[2] == "NVRTC   CUDA 13.0, \(scratch.path("libcuda.so.1"))")
        #expect(lines[6] == "0    Abacus GPU         9.0  1.1 GB  805.3 MB   3.4 TB/s              132")
        #expect(lines.count == 8)
        let json = try run("devices", "--json").json()
        let gpu = try #require(json["gpus"]?.arrayValue?.first)
        #expect(gpu["name"] == "Abacus GPU" && gpu["capability"] == "9.0" && gpu["free_bytes"] == 805_306_368)
        #expect(gpu["memory_bytes"] == 1_073_741_824 && gpu["multiprocessors"] == 132 && gpu["problem"] == .null)
        #expect(json["driver"]?["cuda"] == "12.4" && json["nvrtc"]?["cuda"] == "13.0")
        #expect(json["cpu"]?["threads"]?.intValue ?? 0 > 0)
    }

    /// Python packages of CUDA 12 and 13 have other folders; a driver's own major version is preferred.
    @Test func findsTheCompilerOfTheDriversVersion() throws {
        try buildFakeDriver()
        var environment = ["FLASH_LLM_NVRTC": "", "HOME": scratch.path, "VIRTUAL_ENV": "", "CONDA_PREFIX": ""]
        func path() throws -> String? {
            let outcome = try Tool.start(
                ["devices", "--json"], in: scratch,
                environment: environment.merging(["LD_LIBRARY_PATH": scratch.path]) { $1 }
            ).wait()
            return try outcome.json()["nvrtc"]?["path"]?.stringValue.map { String($0) }
        }
        // The machine's own goes first, and says nothing about the rest.
        guard try path() == nil else { return }
        environment["VIRTUAL_ENV"] = scratch.path("venv")
        let packages = "venv/lib/python3.9/site-packages/nvidia"
        for (folder, version) in [("cu13", 13), ("cuda_nvrtc", 12)] {
            try scratch.makeFolder("\(packages)/\(folder)/lib")
            let library = "\(packages)/\(folder)/lib/libnvrtc.so.\(version)"
            try scratch.write(scratch.bytes("libcuda.so.1"), to: library)
            // The fake driver is for CUDA 12.4.
            #expect(try path() == scratch.path(library))
        }
    }

    @Test func saysThatThereIsNoCompiler() throws {
        try buildFakeDriver()
        let text = try run("devices", environment: ["FLASH_LLM_NVRTC": "/nowhere/nvrtc"])
        #expect(text.status == 0 && text.output.contains("NVRTC   none: libnvrtc.so could not be loaded (/nowhere/"))
        #expect(text.output.contains("Abacus GPU"))
    }
    #endif

    /// A file that is no library, in front of the system's own, if there is one.
    @Test func saysWhyThereIsNoGPU() throws {
        try scratch.write("", to: "libcuda.so.1")
        let text = try run("devices")
        #expect(text.status == 0 && text.errors == "")
        let lines = text.output.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasPrefix("CPU     "))
        #expect(lines.last?.hasPrefix("GPU     none: the NVIDIA driver's library could not be loaded (") == true)
        #expect(lines.last?.contains("libcuda.so.1") == true)
        let json = try run("devices", "--json").json()
        #expect(json["gpus"] == [] && json["driver"]?["missing"]?.stringValue?.contains("libcuda.so.1") == true)
        #expect(json["nvrtc"]?["missing"]?.stringValue?.contains("libcuda.so.1") == true)
    }

    @Test func refusesWrongArchitectures() throws {
        for arch in ["", "sm_9", "sm_80,90", "hopper"] {
            let arguments = ["compile-kernels", "--arch", arch]
            try Tool.start(arguments, in: scratch).wait().expectFailure("--arch must", status: 64)
        }
        try Tool.start(
            ["compile-kernels", "-o", "out"], in: scratch, environment: ["FLASH_LLM_NVRTC": "/nowhere/nvrtc"]
        ).wait().expectFailure("libnvrtc.so could not be loaded (/nowhere/nvrtc: ")
        #expect(scratch.entries() == [])
    }

    /// Commands that are for us only are not offered.
    @Test func hidesCompiling() throws {
        #expect(try !Tool.run("--help", in: scratch).output.contains("compile-kernels"))
        let outcome = try Tool.run("compil", in: scratch)
        #expect(!outcome.errors.contains("compile-kernels"))
        #expect(try Tool.run("help", "compile-kernels", in: scratch).output.contains("--arch"))
    }
}

import CUDA
import FakeCUDA
import Foundation
import ModelFixtures
import Testing

extension FakeDriverTests {
    @Suite struct KernelCacheTests {
        private let scratch = ScratchFolder()
        private let hopper = Capability(major: 9, minor: 0)
        private var folder: String { scratch.path("home/kernels") }

        private func compiler(
            _ sources: [KernelSource] = KernelSource.embedded, folder: String? = nil
        ) throws -> KernelCompiler {
            KernelCompiler(try NVRTC(table: fake_nvrtc()), sources: sources, cacheFolder: folder ?? self.folder)
        }

        /// How many programs `body` compiles.
        private func compilations(_ body: () throws -> Void) rethrows -> Int {
            let before = fake_compilations()
            try body()
            return fake_compilations() - before
        }

        @Test func compilesOnce() throws {
            let first = try compiler().compile("probe.cu", for: hopper)
            #expect(!first.isFromCache && first.cubin.starts(with: Array("FAKE sm_90\n".utf8)))
            let entries = scratch.entries("home/kernels")
            #expect(entries.count == 1 && entries[0].hasPrefix("probe-sm_90-") && entries[0].hasSuffix(".cubin"))
            let count = try compilations {
                let second = try compiler().compile("probe.cu", for: hopper)
                #expect(second.isFromCache && second.cubin == first.cubin)
            }
            #expect(count == 0)
        }

        /// Everything that the code depends on gives another entry.
        @Test func tellsApartWhatDiffers() throws {
            var lines = KernelOptions()
            lines.lineInformation = true
            var defines = KernelOptions()
            defines.defines = [("A", "1")]
            var swapped = KernelOptions()
            swapped.defines = [("A1", "")]
            var specific = KernelOptions()
            specific.isArchitectureSpecific = true
            let header = KernelSource.embedded.map {
                $0.name == "gpu.cuh" ? KernelSource(name: $0.name, text: $0.text + "\n") : $0
            }
            let source = KernelSource.embedded.map {
                $0.name == "probe.cu" ? KernelSource(name: $0.name, text: $0.text + "\n") : $0
            }
            var newer = fake_nvrtc()
            newer.nvrtcVersion = { major, minor in
                major?.pointee = 12
                minor?.pointee = 9
                return 0
            }
            for _ in 0..<2 {
                let compiler = try compiler()
                for options in [KernelOptions(), lines, defines, swapped, specific] {
                    _ = try compiler.compile("probe.cu", for: hopper, options: options)
                }
                _ = try compiler.compile("probe.cu", for: Capability(major: 8, minor: 0))
                for sources in [header, source] { _ = try self.compiler(sources).compile("probe.cu", for: hopper) }
                _ = try KernelCompiler(NVRTC(table: newer), cacheFolder: folder).compile("probe.cu", for: hopper)
                #expect(scratch.entries("home/kernels").count == 9)
            }
            // A file that this one cannot include makes no difference.
            let more = KernelSource.embedded + [KernelSource(name: "other.cu", text: "")]
            #expect(try self.compiler(more).compile("probe.cu", for: hopper).isFromCache)
        }

        @Test func replacesWhatIsDamaged() throws {
            let whole = try compiler().compile("probe.cu", for: hopper).cubin
            let name = "home/kernels/" + scratch.entries("home/kernels")[0]
            let file = try scratch.bytes(name)
            #expect(file.count == whole.count + 40)
            var damages: [[UInt8]] = [0, 1, 7, 8, 39, 40, 41, file.count - 1].map { Array(file[..<$0]) }
            for place in [0, 8, 39, 40, file.count - 1] {
                var damaged = file
                damaged[place] ^= 1
                damages.append(damaged)
            }
            damages.append(file + [0])
            for damaged in damages {
                try scratch.write(damaged, to: name)
                let output = try compiler().compile("probe.cu", for: hopper)
                #expect(!output.isFromCache && output.cubin == whole)
                #expect(try scratch.bytes(name) == file)
            }
            #expect(scratch.entries("home/kernels").count == 1)
        }

        @Test func needsNoFolderItCanWriteTo() throws {
            try scratch.write("", to: "file")
            for _ in 0..<2 {
                #expect(
                    try !compiler(folder: scratch.path("file/kernels")).compile("probe.cu", for: hopper).isFromCache)
            }
            // A folder in the entry's place.
            _ = try compiler().compile("probe.cu", for: hopper)
            let name = "home/kernels/" + scratch.entries("home/kernels")[0]
            try FileManager.default.removeItem(atPath: scratch.path(name))
            try scratch.makeFolder(name)
            #expect(try !compiler().compile("probe.cu", for: hopper).isFromCache)
            #expect(scratch.entries("home/kernels").count == 1)
        }

        /// Compilers that share nothing but the folder, while somebody damages entries: all get whole code.
        @Test func isSharedByMany() throws {
            let expected = try compiler(folder: scratch.path("elsewhere")).compile("probe.cu", for: hopper).cubin
            let path = folder
            let failures = LockedCount()
            DispatchQueue.concurrentPerform(iterations: 32) { index in
                let nvrtc = try! NVRTC(table: fake_nvrtc())
                let compiler = KernelCompiler(nvrtc, cacheFolder: path)
                for _ in 0..<20 {
                    let output = try? compiler.compile("probe.cu", for: Capability(major: 9, minor: 0))
                    if output?.cubin != expected { failures.add() }
                    guard index % 8 == 0 else { continue }
                    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
                        if !name.hasPrefix(".") { truncate(path + "/" + name, off_t(index)) }
                    }
                }
            }
            #expect(failures.count == 0)
            #expect(try compiler().compile("probe.cu", for: hopper).cubin == expected)
            #expect(scratch.entries("home/kernels").count == 1)
        }

        @Test func saysWhatIsWrongWithASource() throws {
            let sources = [KernelSource(name: "bad.cu", text: "#error no"), KernelSource(name: "a.cuh", text: "")]
            try FakeDriverTests.expectBalance {
                let compiler = try compiler(sources)
                let error = #expect(throws: CUDAError.self) { try compiler.compile("bad.cu", for: hopper) }
                #expect(
                    error?.description == "bad.cu cannot be compiled for sm_90: bad.cu(1): error: #error directive")
                #expect(throws: CUDAError.unknownSource(file: "a.cuh", known: ["bad.cu"])) {
                    try compiler.compile("a.cuh", for: hopper)
                }
            }
            #expect(scratch.entries() == [])
        }
    }
}

import Foundation
import ModelFixtures
import OrderedJSON
import Testing

/// `bench spmm --device cuda`, on the emulator and where there is no GPU.
@Suite struct GPUBenchTests {
    private let scratch = ScratchFolder()

    private static let tiny = [
        "bench", "spmm", "--device", "cuda", "--shapes", "256x64,128x128", "--sparsity", "0.5,0.9", "--tokens", "1,9",
        "--rounds", "2", "--sample-seconds", "0.000001", "--working-set-bytes", "1000", "--bandwidth-bytes", "1000",
    ]

    private func run(_ arguments: [String]) throws -> Tool.Outcome {
        try Tool.start(arguments, in: scratch, environment: EmulatedDriver.environment(in: scratch)).wait()
    }

    #if os(Linux)
    @Test func measuresProducts() throws {
        try EmulatedDriver.build(in: scratch)
        let json = try run(Self.tiny + ["--json", "--csv", "out.csv", "--plot", "out.svg"]).json()
        #expect(json["baseline"] == "dense" && json["failures"] == [] && json["is_cut_short"] == false)
        #expect(json["device"]?["capability"] == "9.0" && json["bandwidth_bytes_per_second"] != .null)
        // cuBLAS and cuSPARSE are not there, and nobody has asked for them.
        #expect(json["not_measured"]?.arrayValue?.count == 2)
        let results = try #require(json["results"]?.arrayValue)
        let products = ["dense", "tiled-csl", "lane-bitmap", "lane-stream"]
        #expect(results.map { $0["product"]?.stringValue } == (0..<8).flatMap { _ in products })
        for result in results {
            // What is far slower than dense is measured in one round only, which on a busy machine any may seem to be.
            let rounds = try #require(result["seconds"]?["samples"]?.arrayValue?.count)
            #expect(rounds == 2 || (rounds == 1 && result["product"] != "dense"))
            #expect(result["share_of_bandwidth"]?.doubleValue ?? 0 > 0)
            #expect((result["ratio"] == .null) == (result["product"] == "dense"))
        }
        let means = try #require(json["geometric_means"]?.arrayValue)
        #expect(means.count == 2 * 2 * 4 && means.allSatisfy { $0["shapes"] == 2 })
        let lines = try scratch.text("out.csv").split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        #expect(lines.count == 33 && lines.allSatisfy { $0.count == 15 })
        let picture = try scratch.text("out.svg")
        #expect(picture.hasPrefix("<svg ") && picture.contains("9 tokens") && picture.contains("lane-stream"))
    }

    @Test func saysWhatWasMeasured() throws {
        try EmulatedDriver.build(in: scratch)
        let outcome = try run(Self.tiny + ["--formats", "lane-bitmap", "--blocks", "2"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.contains("256x64, 50 % zeros, 1 token") && lines.contains("90 % zeros, 9 tokens"))
        #expect(lines.contains { $0.hasPrefix("geometric mean") && $0.contains("to dense") })
        #expect(lines.allSatisfy { $0.count <= 100 || $0.contains(":") }, "\(outcome.output)")
        #expect(lines.contains { $0.hasPrefix("not measured: libcublas.so.13 or .12, which kernels ") })
    }

    /// What is right is reported all the same.
    @Test func wrongResultsFail() throws {
        try EmulatedDriver.build(in: scratch)
        try scratch.write(
            """
            #include <flash_llm_peer.h>
            int flash_llm_peer_prepare(const struct flash_llm_peer_matrix *matrix, void **handle, size_t *bytes) {
                *bytes = (size_t)matrix->rows;
                return 0;
            }
            int flash_llm_peer_multiply(void *handle, const void *input, void *output, int tokens, void *stream) {
                *(short *)output = 0x3c00;
                return tokens > 1 ? FLASH_LLM_PEER_UNSUPPORTED : 0;
            }
            void flash_llm_peer_release(void *handle) {}
            """, to: "peer.c")
        let headers = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/CCUDA/include").path
        let built = try Tool.shell("clang -shared -fPIC -I\(headers) peer.c -o peer.so", in: scratch)
        try #require(built.status == 0, "\(built.errors)")
        let outcome = try run(Self.tiny + ["--peer", "mine=\(scratch.path("peer.so"))", "--json"])
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("error: the result of mine with 256x64 at 0.5 zeros and 1 token is wrong: "))
        let json = try JSON(parsing: outcome.output)
        #expect(json["failures"]?.arrayValue?.count == 4)
        #expect(json["results"]?.arrayValue?.count == 2 * 2 * 2 * 4)
    }

    @Test func wantsWhatWasAskedFor() throws {
        try EmulatedDriver.build(in: scratch)
        try run(Self.tiny + ["--formats", "cusparse"]).expectFailure("libcusparse.so.12", "was not found")
        try run(Self.tiny + ["--peer", "mine=/nowhere/peer.so"]).expectFailure("/nowhere/peer.so")
        try run(["bench", "spmm", "--device", "cuda:7"]).expectFailure("GPU 7 does not exist")
    }
    #endif

    @Test func refusesWhatIsForTheOtherDevice() throws {
        for option in [["--blocks", "2"], ["--quick"], ["--peer", "a=b"], ["--time-limit", "5"]] {
            try run(["bench", "spmm"] + option).expectFailure(option[0], "add --device cuda", status: 64)
        }
        let cuda = ["bench", "spmm", "--device", "cuda"]
        try run(cuda + ["--formats", "lane-bitmaps"]).expectFailure("did you mean 'lane-bitmap'?", status: 64)
        try run(cuda + ["--blocks", "0"]).expectFailure("--blocks must be in 1...65536", status: 64)
        try run(cuda + ["--peer", "lane-bitmap=a.so"]).expectFailure("that is the name of a format", status: 64)
        try run(cuda + ["--shapes", "16x12"]).expectFailure("multiple of 8", "16x12", status: 64)
        try run(cuda + ["--time-limit", "0"]).expectFailure("--time-limit must be more than 0", status: 64)
        try run(["bench", "spmm", "--device", "gpu"]).expectFailure("gpu", status: 64)
    }

    @Test func saysThatThereIsNoDriver() throws {
        try scratch.write("", to: "libcuda.so.1")
        try run(["bench", "spmm", "--device", "cuda"]).expectFailure("the NVIDIA driver's library could not be loaded")
    }
}

import Foundation
import ModelFixtures
import Testing

/// `--device`: what is no device, and devices that are not there.
@Suite struct DeviceOptionTests {
    private let scratch = ScratchFolder()

    init() throws {
        try TinyModel().write(to: scratch.path("model"))
        try scratch.write("Some text to score.", to: "text")
        // A file that is no library, in front of the system's own, if there is one.
        try scratch.write("", to: "libcuda.so.1")
    }

    /// The three commands that compute, on `device`.
    private func outcomes(_ device: String, _ more: String...) throws -> [Tool.Outcome] {
        let model = scratch.path("model")
        let commands = [
            ["run", model, "hello", "--max-tokens", "1"], ["perplexity", model, scratch.path("text"), "--window", "8"],
            ["bench", model, "--rounds", "1", "--steps", "1", "--prompt", "0"],
        ]
        return try commands.map { command in
            try Tool.start(
                command + ["--device", device] + more, in: scratch, environment: ["LD_LIBRARY_PATH": scratch.path]
            ).wait()
        }
    }

    @Test func suggestsTheDeviceThatWasMeant() throws {
        for outcome in try outcomes("cuad") {
            outcome.expectFailure("there is no device 'cuad': did you mean 'cuda'?", status: 64)
        }
    }

    @Test(arguments: ["cuda:", "cuda:x", "cuda:-1", "cuda:01"]) func refusesWhatIsNoNumber(device: String) throws {
        for outcome in try outcomes(device) {
            outcome.expectFailure("--device cuda:N counts GPUs from 0, found '\(device)'", status: 64)
        }
    }

    @Test func refusesACacheThatGPUsDoNotHave() throws {
        for outcome in try outcomes("cuda", "--cache", "i8") {
            outcome.expectFailure("--cache on a GPU must be f16, found i8", status: 64)
        }
    }

    #if os(Linux)
    @Test func saysInOneSentenceThatThereIsNoDriver() throws {
        for outcome in try outcomes("cuda") {
            outcome.expectFailure("the NVIDIA driver's library could not be loaded (", "libcuda.so.1")
        }
    }
    #endif

    @Test func theProcessorIsADevice() throws {
        for outcome in try outcomes("cpu") { #expect(outcome.status == 0, "\(outcome.errors)") }
    }
}

import CCUDA
import CUDA
import Testing

/// What the loader says of libraries that are not there, or are others.
@Suite struct LoaderTests {
    @Test func saysWhatIsMissing() {
        #expect(throws: CUDAError.self) { try NVRTC.load(path: "/nowhere/libnvrtc.so.13") }
        do {
            _ = try NVRTC.load(path: "/nowhere/libnvrtc.so.13")
        } catch {
            #expect(error.description.hasPrefix("libnvrtc.so could not be loaded (/nowhere/libnvrtc.so.13: "))
            #expect(!error.description.contains("\n"))
        }
    }

    /// A library that is no NVRTC: the C library, which is loaded anyway.
    @Test func saysWhichFunctionIsMissing() {
        let error = #expect(throws: CUDAError.self) { try NVRTC.load(path: "libc.so.6") }
        #expect(
            error?.description == "libc.so.6 has no function nvrtcVersion: it is no NVRTC of CUDA 12.0 or later")
        var cublas = flash_cublas()
        var cusparse = flash_cusparse()
        // Each reason lives until the next one.
        let first = flash_cuda_load_cublas(&cublas, "libc.so.6", 13).map { String(cString: $0) }
        #expect(first == "libc.so.6 has no function cublasCreate_v2: it is no cuBLAS of CUDA 12.0 or later")
        let second = flash_cuda_load_cusparse(&cusparse, "libc.so.6").map { String(cString: $0) }
        #expect(second == "libc.so.6 has no function cusparseCreate: it is no cuSPARSE of CUDA 12.0 or later")
    }

    /// The machine's own, if it has one: then it is loaded once; else a sentence says what to do, every time the same.
    @Test func givesTheSameAnswerEveryTime() {
        let answers = (0..<2).map { _ in Result { () throws(CUDAError) in try CUDADriver.system() } }
        switch (answers[0], answers[1]) {
        case (.success(let first), .success(let second)):
            #expect(first === second && first.version >= CUDADriver.neededVersion)
        case (.failure(let first), .failure(let second)):
            #expect(first == second)
            if case .noDriver(let reason) = first {
                #expect(reason.contains("libcuda.so.1") && reason.contains("install the driver"))
            }
        default: Issue.record("once found, once not")
        }
    }
}

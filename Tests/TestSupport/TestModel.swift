// The smaller library: gpu-check links it in, and with all of Foundation it would be 40 MB larger.
#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The real model that some tests need. It is pulled, not committed; tests that miss it report themselves as skipped.
public enum TestModel {
    /// Path of SmolLM2-135M-Instruct.Q4_1.gguf, or nil.
    ///
    /// `FLASH_LLM_TEST_MODEL` names it; otherwise it is where `flash-llm pull smollm2-135m` puts it.
    public static let path: String? = {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["FLASH_LLM_TEST_MODEL"] { return path }
        let user = FileManager.default.homeDirectoryForCurrentUser.path
        let home = environment["FLASH_LLM_HOME"] ?? user + "/.cache/flash-llm"
        let path = home + "/models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf"
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()

    public static var isAvailable: Bool { path != nil }

    /// What a test that is skipped says.
    public static let reason = "smollm2-135m is not there: run flash-llm pull smollm2-135m first"
}

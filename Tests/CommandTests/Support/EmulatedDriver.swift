import Foundation
import ModelFixtures
import Testing

/// The emulator of the GPU as NVIDIA's driver and compiler, for the built executable.
enum EmulatedDriver {
    /// What the executable needs to find it.
    static func environment(in scratch: ScratchFolder) -> [String: String] {
        ["LD_LIBRARY_PATH": scratch.path, "FLASH_LLM_NVRTC": scratch.path("libcuda.so.1")]
    }

    /// Links the objects of Tests/CUDAEmulator, which lie beside the tests, under the names of the driver's functions:
    /// `emulated_cuInit(unsigned)` becomes `cuInit`.
    static func build(in scratch: ScratchFolder) throws {
        let outcome = try Tool.shell(
            """
            objects=$(find "$(dirname "$0")/CUDAEmulator.build" -name '*.o')
            pattern='_Z[0-9]+emulated_(cu|nvrtc)[A-Z][A-Za-z0-9_]*'
            names=$(nm $objects | sed -nE "s/.* T ($pattern)$/\\1/p")
            for name in $names; do
                length=${name#_Z}; length=${length%%e*}
                plain=$(printf %s "${name#_Z$length}" | cut -c10-$length)
                set -- "$@" "-Wl,--defsym=$plain=$name"
            done
            clang++ -shared $objects "$@" -o \(scratch.path("libcuda.so.1"))
            """, in: scratch)
        try #require(outcome.status == 0, "\(outcome.errors)")
    }
}

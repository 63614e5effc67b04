// swift-tools-version: 6.2
import PackageDescription

/// Public API says `public import`; everything else stays internal to its file.
let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
]

/// C at -O3 in debug builds too: kernels at -O0 are 10 to 60 times slower and would make the tests crawl.
/// Contraction is off so that every instruction set rounds the same way unless a kernel asks for FMA itself.
let kernelSettings: [CSetting] = [
    .unsafeFlags(["-O3"], .when(configuration: .debug)),
    .unsafeFlags(["-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unused-parameter"]),
]

/// The emulator of the GPU and its kernels, which call their own functions in every line: at -O0 they would crawl.
let emulatorSettings: [CXXSetting] = [
    .headerSearchPath("../../Sources/CCUDA/kernels"),
    .headerSearchPath("../../Sources/CCUDA/include"),
    .headerSearchPath("."),
    .unsafeFlags(["-O2"], .when(configuration: .debug)),
    .unsafeFlags([
        // Headers of CCUDA are included, not imported: C++20 would take their module map for a module.
        "-fno-cxx-modules", "-fno-exceptions", "-fno-rtti", "-ffp-contract=off", "-Wall", "-Wextra",
        // Sanitizers take fibers for a broken stack; the emulator checks its kernels' accesses itself.
        "-fno-sanitize=address,thread",
    ]),
]

/// Swift with vector arithmetic, optimised in debug builds too: SIMD types are generic, and unspecialised they are slow
/// (the tests of sampling took 558 s instead of 24 s).
let vectorSettings: [SwiftSetting] =
    swiftSettings + [.unsafeFlags(["-O"], .when(configuration: .debug))]

let package = Package(
    name: "FlashLLM",
    products: [
        .executable(name: "flash-llm", targets: ["flash-llm"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        // What async-http-client is built on: its errors, and the certificates it trusts.
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    ],
    targets: [
        .target(
            name: "OrderedJSON",
            dependencies: [.product(name: "OrderedCollections", package: "swift-collections")],
            swiftSettings: swiftSettings,
            // Whole numbers from Double call the C library's trunc.
            linkerSettings: [.linkedLibrary("m")]),
        .target(name: "CFiles", cSettings: kernelSettings),
        .target(name: "CKernels", cSettings: kernelSettings),
        // Kernels of GPUs are embedded as text.
        .target(name: "CCUDA", exclude: ["kernels"], cSettings: kernelSettings),
        .target(
            name: "CUDA", dependencies: ["CCUDA", .product(name: "Crypto", package: "swift-crypto")],
            swiftSettings: swiftSettings),
        .target(name: "Tensors", dependencies: ["CKernels"], swiftSettings: swiftSettings),
        .target(name: "Sparse", dependencies: ["CKernels", "Tensors"], swiftSettings: swiftSettings),
        // Its own loops are vector arithmetic, too.
        .target(
            name: "LinearAlgebra", dependencies: ["CKernels", "Sparse", "Tensors"], swiftSettings: vectorSettings),
        .target(
            name: "Checkpoints",
            dependencies: [
                "CFiles", "CKernels", "OrderedJSON", "Sparse", "Tensors",
                .product(name: "OrderedCollections", package: "swift-collections"),
            ],
            swiftSettings: swiftSettings),
        .target(
            name: "CUDAKernels", dependencies: ["CCUDA", "CUDA", "Sparse", "Tensors"], swiftSettings: swiftSettings),
        .target(
            name: "Transformer",
            dependencies: ["CKernels", "CUDA", "CUDAKernels", "Checkpoints", "OrderedJSON", "Sparse", "Tensors"],
            swiftSettings: swiftSettings),
        .target(
            name: "Training",
            dependencies: ["CKernels", "Checkpoints", "LinearAlgebra", "Sparse", "Tensors", "Transformer"],
            swiftSettings: vectorSettings),
        .target(
            name: "Pruning",
            dependencies: [
                "Checkpoints", "LinearAlgebra", "OrderedJSON", "Sparse", "Tensors", "Training", "Transformer",
            ], swiftSettings: vectorSettings),
        .target(
            name: "Synthesis", dependencies: ["Checkpoints", "OrderedJSON", "Tensors", "Tokenizers", "Transformer"],
            swiftSettings: swiftSettings),
        .target(name: "Terminal", swiftSettings: swiftSettings),
        // Axes call the C library's log and pow.
        .target(name: "Charts", swiftSettings: swiftSettings, linkerSettings: [.linkedLibrary("m")]),
        .target(
            name: "Hub",
            dependencies: [
                "OrderedJSON", "Terminal",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: swiftSettings),
        .target(
            name: "Tokenizers",
            dependencies: ["OrderedJSON", .product(name: "OrderedCollections", package: "swift-collections")],
            swiftSettings: swiftSettings),
        .target(name: "Scheduling", swiftSettings: swiftSettings),
        .target(
            name: "Engine",
            dependencies: [
                "CKernels", "CUDA", "CUDAKernels", "Checkpoints", "OrderedJSON", "Scheduling", "Sparse", "Tensors",
                "Tokenizers", "Transformer",
            ], swiftSettings: vectorSettings),
        .target(
            name: "GPUBenchmark", dependencies: ["CUDA", "CUDAKernels", "Engine", "Sparse", "Tensors"],
            // Results are compared element by element.
            swiftSettings: vectorSettings),
        .executableTarget(
            name: "flash-llm",
            dependencies: [
                "CUDA", "CUDAKernels", "Charts", "Checkpoints", "Engine", "GPUBenchmark", "Hub", "LinearAlgebra",
                "OrderedJSON", "Pruning", "Sparse", "Synthesis",
                "Tensors", "Terminal", "Tokenizers", "Transformer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "OrderedCollections", package: "swift-collections"),
            ],
            swiftSettings: swiftSettings),

        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: swiftSettings),
        // The kernels of AVX-512 for any processor; no product carries them. Without sanitizers, under which the
        // compiler takes half an hour: other sets' are checked, and these lie between guard pages.
        .target(
            name: "EmulatedKernels", dependencies: ["CKernels"], path: "Tests/EmulatedKernels",
            cSettings: kernelSettings + [.unsafeFlags(["-fno-sanitize=all"])]),
        // A hub on this machine.
        .target(
            name: "FakeHub", dependencies: ["OrderedJSON", .product(name: "Crypto", package: "swift-crypto")],
            path: "Tests/FakeHub",
            swiftSettings: swiftSettings),
        // A driver without a GPU.
        .target(name: "FakeCUDA", dependencies: ["CCUDA"], path: "Tests/FakeCUDA", cSettings: kernelSettings),
        // The GPU on the processor; of all programs only gpu-check carries it.
        .target(
            name: "CUDAEmulator", dependencies: ["CCUDA"], path: "Tests/CUDAEmulator",
            exclude: ["kernels/functions.cu", "kernels/planted.cu", "kernels/product.cu"], cxxSettings: emulatorSettings
        ),
        // What is tested of the GPU kernels, on the emulator and on GPUs.
        .target(
            name: "GPUCases",
            dependencies: ["CCUDA", "CUDA", "CUDAEmulator", "CUDAKernels", "Sparse", "Tensors", "TestSupport"],
            // They compute products in double precision.
            path: "Tests/GPUCases", swiftSettings: vectorSettings),
        // Runs them on a machine with a GPU and without Swift: scripts/gpu-bundle.
        .executableTarget(
            name: "gpu-check",
            dependencies: [
                "CUDA", "CUDAEmulator", "CUDAKernels", "GPUCases", "OrderedJSON",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Tests/GPUCheck", swiftSettings: swiftSettings),
        .target(
            name: "KernelsUnderTest", dependencies: ["EmulatedKernels", "Sparse"], path: "Tests/KernelsUnderTest",
            swiftSettings: swiftSettings),
        .target(
            name: "ModelFixtures",
            dependencies: ["Checkpoints", "OrderedJSON", "Tensors", "TestSupport", "Tokenizers"],
            path: "Tests/ModelFixtures", swiftSettings: vectorSettings),
        // Run by scripts/compare-tokenizers.
        .executableTarget(
            name: "tokenizer-probe", dependencies: ["OrderedJSON", "Tokenizers"], path: "Tests/TokenizerProbe",
            swiftSettings: swiftSettings),
        .testTarget(
            name: "CheckpointsTests",
            dependencies: [
                "CKernels", "Checkpoints", "ModelFixtures", "OrderedJSON", "Sparse", "Tensors", "TestSupport",
            ], exclude: ["Fixtures"], swiftSettings: swiftSettings),
        .testTarget(
            name: "OrderedJSONTests", dependencies: ["OrderedJSON", "TestSupport"], swiftSettings: swiftSettings),
        .testTarget(
            name: "PruningTests",
            dependencies: [
                "Checkpoints", "LinearAlgebra", "ModelFixtures", "OrderedJSON", "Pruning", "Sparse", "Tensors",
                "TestSupport", "Training", "Transformer",
            ], swiftSettings: vectorSettings),
        .testTarget(
            name: "LinearAlgebraTests",
            dependencies: ["KernelsUnderTest", "LinearAlgebra", "Sparse", "Tensors", "TestSupport"],
            swiftSettings: vectorSettings),
        .testTarget(
            name: "SparseTests", dependencies: ["CKernels", "KernelsUnderTest", "Sparse", "Tensors", "TestSupport"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "TrainingTests",
            dependencies: [
                "Checkpoints", "KernelsUnderTest", "LinearAlgebra", "ModelFixtures", "Sparse", "Tensors", "TestSupport",
                "Training", "Transformer",
            ], swiftSettings: vectorSettings),
        .testTarget(
            name: "TransformerTests",
            dependencies: [
                "CKernels", "CUDA", "CUDAKernels", "Checkpoints", "GPUCases", "KernelsUnderTest", "ModelFixtures",
                "OrderedJSON", "Sparse", "Tensors", "TestSupport", "Transformer",
            ],
            // The naive decoder they compare with is plain Swift.
            exclude: ["Fixtures"], swiftSettings: vectorSettings),
        .testTarget(
            name: "CUDAEmulatorTests", dependencies: ["CCUDA", "CUDAEmulator", "TestSupport"],
            swiftSettings: swiftSettings),
        .testTarget(name: "ChartsTests", dependencies: ["Charts"], swiftSettings: swiftSettings),
        .testTarget(
            name: "SynthesisTests",
            dependencies: ["Checkpoints", "Engine", "ModelFixtures", "Synthesis", "Tensors"],
            swiftSettings: swiftSettings),
        .testTarget(name: "StyleTests", swiftSettings: swiftSettings),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors", "TestSupport"], swiftSettings: swiftSettings),
        .testTarget(name: "TerminalTests", dependencies: ["Terminal", "TestSupport"], swiftSettings: swiftSettings),
        .testTarget(
            name: "CUDAKernelsTests",
            dependencies: [
                "CCUDA", "CUDA", "CUDAEmulator", "CUDAKernels", "GPUCases", "Sparse", "Tensors", "TestSupport",
            ],
            // They compute in double precision.
            swiftSettings: vectorSettings),
        .testTarget(
            name: "GPUBenchmarkTests", dependencies: ["CUDAKernels", "Engine", "GPUBenchmark", "GPUCases"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "CUDATests", dependencies: ["CCUDA", "CUDA", "FakeCUDA", "ModelFixtures"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "HubTests", dependencies: ["FakeHub", "Hub", "OrderedJSON", "TestSupport"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "TokenizersTests", dependencies: ["OrderedJSON", "TestSupport", "Tokenizers"],
            exclude: ["Fixtures"], swiftSettings: swiftSettings),
        .testTarget(
            name: "SchedulingTests", dependencies: ["Scheduling", "TestSupport"], swiftSettings: swiftSettings),
        // Runs the built executable.
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "Checkpoints", "FakeHub", "ModelFixtures", "OrderedJSON", "Sparse", "Tensors", "Terminal",
                "TestSupport",
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "EngineTests",
            dependencies: [
                "Checkpoints", "Engine", "GPUCases", "ModelFixtures", "OrderedJSON", "Sparse", "Tensors",
                "TestSupport", "Tokenizers", "Transformer",
            ], swiftSettings: swiftSettings),
    ],
    cLanguageStandard: .gnu2x,
    cxxLanguageStandard: .cxx20
)

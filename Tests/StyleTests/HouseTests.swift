import Testing

@Suite struct HouseTests {
    /// A manifest as it is written, with what could confuse its reader.
    private static func manifest(_ targets: String) -> Manifest {
        let text = """
            let package = Package(
                name: "FlashLLM",  // .target(name: "Comment")
                products: [.executable(name: "flash-llm", targets: ["flash-llm"])],
                targets: [
            \(targets)
                ])

            """
        return Manifest(SourceFile(path: "Package.swift", text: text))
    }

    private static let usual = manifest(
        """
        .target(name: "Tensors", swiftSettings: settings + [.unsafeFlags(["-O"])]),
        .target(
            name: "Sparse",
            dependencies: [
                "Tensors",
                .product(name: "OrderedCollections", package: "swift-collections"),
            ],
            swiftSettings: settings),
        .executableTarget(name: "flash-llm", dependencies: ["Sparse"]),
        .target(name: "TestSupport", path: "Tests/TestSupport"),
        .testTarget(name: "SparseTests", dependencies: ["Sparse", "TestSupport"], exclude: ["Fixtures"]),
        """)

    private static func file(_ path: String, _ text: String = "\n") -> SourceFile { SourceFile(path: path, text: text) }

    @Test func readsTargets() {
        let targets = Self.usual.targets
        #expect(targets.map(\.name) == ["Tensors", "Sparse", "TestSupport", "flash-llm", "SparseTests"])
        #expect(targets.map(\.dependencies) == [[], ["Tensors"], [], ["Sparse"], ["Sparse", "TestSupport"]])
        let paths = [
            "Sources/Tensors", "Sources/Sparse", "Tests/TestSupport", "Sources/flash-llm", "Tests/SparseTests",
        ]
        #expect(targets.map(\.path) == paths)
        #expect(targets.map(\.line) == [5, 6, 14, 13, 15])
        #expect(Self.usual.target(ofFile: "Sources/flash-llm/A/B.swift")?.module == "flash_llm")
        #expect(House.violations(in: Self.usual, files: [Self.file("Sources/Sparse/A.swift")]).isEmpty)
    }

    @Test(arguments: [
        ("Tensors", "Sparse", "Tensors depends on Sparse, which is not below it"),
        ("Engine", "Pruning", "Engine depends on Pruning, which is not below it"),
        ("Sparse", "Sparse", "Sparse depends on Sparse, which is not below it"),
        ("Sparse", "TestSupport", "Sparse depends on TestSupport, which is on no floor of the house"),
        ("Cellar", "Tensors", "Cellar is on no floor of the house"),
    ]) func findsArrowsThatDoNotPointDown(target: String, dependency: String, what: String) {
        let manifest = Self.manifest(".target(name: \"\(target)\", dependencies: [\"\(dependency)\"]),")
        #expect(House.violations(in: manifest, files: []).map(\.description) == ["Package.swift:5: \(what)"])
    }

    @Test func findsFilesOfNoTarget() {
        let files = [Self.file("Sources/Lost/A.swift"), Self.file("Sources/A.swift"), Self.file("Tests/B.swift")]
        let found = House.violations(in: Self.usual, files: files).map(\.path)
        #expect(found == ["Sources/Lost/A.swift", "Sources/A.swift"])
    }

    @Test func findsImportsThatAreNotDeclared() {
        let files = [
            Self.file("Sources/Tensors/A.swift", "// import TestSupport\nimport Glibc\npublic import Sparse\n"),
            Self.file("Sources/Sparse/A.swift", "import struct Tensors.Storage\n"),
            Self.file("Sources/flash-llm/A.swift", "import Sparse\n"),
            Self.file("Tests/SparseTests/A.swift", "@testable import Sparse\nimport TestSupport\nimport flash_llm\n"),
        ]
        let found = House.importViolations(in: Self.usual, files: files).map(\.description)
        #expect(
            found == [
                "Sources/Tensors/A.swift:3: imports Sparse, which Tensors does not declare",
                "Tests/SparseTests/A.swift:3: imports flash_llm, which SparseTests does not declare",
            ])
    }

    @Test func findsDependenciesThatNothingImports() {
        let found = House.importViolations(in: Self.usual, files: []).map(\.what)
        #expect(found.count == 4)
        #expect(found.contains("Sparse declares Tensors and never imports it"))
    }

    @Test func findsDeadHeaders() {
        let files = [
            Self.file("Sources/CKernels/a.c", "#include \"kernels/used.inc.h\"\n#include <include/CKernels.h>\n"),
            Self.file("Sources/CKernels/kernels/used.inc.h"), Self.file("Sources/CKernels/include/CKernels.h"),
            Self.file("Sources/CKernels/kernels/dead.inc.h", "#include \"dead.inc.h\"\n"),
            Self.file("Sources/CKernels/kernels/unused.inc.h", "// #include \"unused.inc.h\"\n"),
        ]
        let found = House.deadHeaders(in: files).map(\.path)
        #expect(found == ["Sources/CKernels/kernels/dead.inc.h", "Sources/CKernels/kernels/unused.inc.h"])
    }
}

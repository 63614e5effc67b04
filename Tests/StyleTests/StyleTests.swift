import Testing

/// The style of this repository, enforced.
@Suite struct StyleTests {
    @Test func keepsTheStyle() throws {
        let tree = try SourceTree(root: SourceTree.packageRoot)
        let violations = tree.violations()
        #expect(violations.isEmpty, Comment(rawValue: violations.map(\.description).joined(separator: "\n")))
    }

    /// A walk that silently skipped a folder, or a manifest read as empty, would find nothing wrong.
    @Test func looksAtEverything() throws {
        let tree = try SourceTree(root: SourceTree.packageRoot)
        let paths = Set(tree.files.map(\.path))
        let expected = [
            "Package.swift", "Sources/CKernels/include/CKernels.h", "Sources/CKernels/kernels/dense.inc.h",
            "Sources/Sparse/TiledCSL/TiledCSL.swift", "Tests/StyleTests/StyleTests.swift",
            "Tests/TestSupport/SplitMix64.swift",
        ]
        for path in expected { #expect(paths.contains(path), "\(path)") }
        #expect(paths.contains { $0.hasPrefix("scripts/") })
        for target in House.floors.dropLast(2).joined() {
            #expect(tree.manifest.target(named: target) != nil, "\(target) in Package.swift")
            #expect(paths.contains { $0.hasPrefix("Sources/\(target)/") }, "\(target)")
        }
        // Dependencies are read too: the arrows that everything stands on.
        #expect(tree.manifest.target(named: "Sparse")?.dependencies == ["CKernels", "Tensors"])
        #expect(tree.manifest.target(named: "TestSupport")?.path == "Tests/TestSupport")
        let functions = tree.files.flatMap { FunctionLengths.functions(in: $0) }
        #expect(functions.contains { $0.name == "packageRootProbe" && $0.lineCount == 3 })
        #expect(functions.contains { $0.name == "panel_direct" && $0.lineCount > 30 })
    }

    /// Three lines long, and found by the test above.
    private func packageRootProbe() -> String {
        SourceTree.packageRoot
    }
}

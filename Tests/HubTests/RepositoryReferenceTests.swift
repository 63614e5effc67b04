import Testing

@testable import Hub

@Suite struct RepositoryReferenceTests {
    @Test func readsNamesAndRevisions() throws {
        let plain = try RepositoryReference("Qwen/Qwen2.5-0.5B_x")
        #expect(plain.owner == "Qwen" && plain.name == "Qwen2.5-0.5B_x" && plain.revision == "main")
        #expect(plain.description == "Qwen/Qwen2.5-0.5B_x" && !plain.isCommit)
        for revision in ["v1.0", "refs/pr/1", "feature/some-thing", "a@b"] {
            let reference = try RepositoryReference("a/b@\(revision)")
            #expect(reference.revision == revision && reference.description == "a/b@\(revision)")
        }
        #expect(try RepositoryReference("a/b@main").description == "a/b")
        #expect(try RepositoryReference("a/b@" + String(repeating: "0f", count: 20)).isCommit)
        #expect(try !RepositoryReference("a/b@" + String(repeating: "0F", count: 20)).isCommit)
        let longest = String(repeating: "x", count: 96)
        #expect(try RepositoryReference("\(longest)/\(longest)").name == longest)
    }

    @Test(arguments: [
        "", "a", "a/", "/b", "a/b/c", "./b", "../b", "a/..", "a/.", ".a/b", "a./b", "-a/b", "a/b-", "a--b/c", "a/b..c",
        "a/b.git", "a b/c", "a/b c", "ä/b", "a/b\u{0}", "a\\b/c", "~/b", "a/b@", "a/b@/x", "a/b@x/", "a/b@x//y",
        "a/b@..", "a/b@x..y", "a/b@.x", "a/b@x/.y", "a/b@x.lock", "a/b@x y", "a/b@x:y", "a/b@x\u{1}", "a/b@x\\y",
        "a/b@x@{1}", "a/b@x.", "https://huggingface.co/a/b",
    ])
    func refuses(text: String) {
        let error = #expect(throws: RepositoryError.self) { try RepositoryReference(text) }
        guard case .badName(let found, _)? = error else { return #expect(Bool(false), "\(error as Any)") }
        #expect(found == text)
    }

    @Test func refusesLongNames() {
        let long = String(repeating: "x", count: 97)
        for text in ["\(long)/b", "a/\(long)", "a/b@" + String(repeating: "x", count: 256)] {
            #expect(throws: RepositoryError.self) { try RepositoryReference(text) }
        }
    }

    @Test func tellsPathsFromNames() {
        for path in ["./a", "../a/b", "/a/b", "~/a"] {
            #expect(throws: HubError.notAName(path: path)) { try RepositoryReference.pulled(path) }
        }
        let error = #expect(throws: HubError.self) { try RepositoryReference.pulled("a/b/c") }
        #expect(error?.description.contains("'a/b/c' is no repository's name (owner/name[@revision])") == true)
    }
}

@Suite struct WebAddressTests {
    @Test func encodesWhatAPathMayNotHold() {
        #expect(WebAddress.encoded("refs/pr/1") == "refs%2Fpr%2F1")
        #expect(WebAddress.encoded("a b/ü?#%.json", keepingSlashes: true) == "a%20b/%C3%BC%3F%23%25.json")
        #expect(WebAddress.encoded("Az09-._~") == "Az09-._~")
    }

    @Test func knowsItsServer() throws {
        let hub = try #require(WebAddress("https://Hub.example/x?y=1"))
        #expect(hub.scheme == "https" && hub.host == "hub.example" && hub.port == 443)
        for same in ["https://hub.example:443/z", "HTTPS://HUB.example"] {
            #expect(hub.isSameOrigin(as: try #require(WebAddress(same))))
        }
        for other in [
            "http://hub.example", "https://hub.example:444", "https://cdn.hub.example", "https://hub.example.org",
        ] {
            #expect(!hub.isSameOrigin(as: try #require(WebAddress(other))))
        }
        for bad in ["", "x", "ftp://a/b", "file:///etc/passwd", "https://", "/x"] { #expect(WebAddress(bad) == nil) }
    }

    @Test func followsOnlyWhereItMay() throws {
        let hub = try #require(WebAddress("https://hub.example/a/b?c=d"))
        let expected = [
            ("/x/y?z=1", "https://hub.example/x/y?z=1"), ("https://cdn.example/q", "https://cdn.example/q"),
            ("//cdn.example/q", "https://cdn.example/q"), ("y", "https://hub.example/a/y"),
        ]
        for (location, target) in expected { #expect(hub.redirected(to: location)?.description == target) }
        for location in ["http://hub.example/x", "ftp://hub.example/x", "file:///etc/passwd", "javascript:x"] {
            #expect(hub.redirected(to: location) == nil)
        }
        #expect(WebAddress("http://a/b")?.redirected(to: "https://a/c") != nil)
    }
}

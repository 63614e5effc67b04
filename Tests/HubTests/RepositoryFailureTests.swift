import FakeHub
import Synchronization
import Testing

@testable import Hub

/// What goes wrong between us and the hub.
@Suite(.timeLimit(.minutes(20))) struct RepositoryFailureTests {
    private static let tiny = PullStage.tiny
    private static let snapshots = "models--owner--tiny/snapshots"
    private static let weightsBlob = tiny.files.first { $0.path == "model.safetensors" }!.sha256

    private func isFirstList(_ request: FakeHub.Request, _ count: Int = 1) -> Bool {
        request.target.hasPrefix("/api/") && request.earlierCount < count
    }

    @Test func keepsTheTokenFromOthers() async throws {
        let token = "hf_secretSecretSecret"
        let stage = try PullStage(Self.tiny, environment: ["HF_TOKEN": token]) { request, answer in
            request.server == .files || request.headers["authorization"] == "Bearer \(token)"
                ? answer : FakeHub.Answer(401)
        }
        try await stage.pull()
        let requests = stage.hub.requests
        #expect(requests.contains { $0.server == .files })
        for request in requests {
            #expect((request.headers["authorization"] == nil) == (request.server == .files))
            #expect(request.headers["accept-encoding"] == "identity")
        }
        #expect(!stage.cached.contains { $0.contains(token) })
    }

    @Test func saysWhatIsForbidden() async throws {
        func sentence(_ status: Int, _ headers: [(String, String)], token: String = "") async throws -> String {
            let stage = try PullStage(Self.tiny, environment: ["HF_TOKEN": token]) { _, _ in
                FakeHub.Answer(status, headers: headers, body: Array("Access denied".utf8))
            }
            let sentence = await stage.failure()
            #expect(stage.hub.requests.count == 1 && stage.pauses == [] && stage.cached == [])
            #expect(token.isEmpty || !sentence.contains(token))
            return sentence
        }
        let gated = try await sentence(403, [("X-Error-Code", "GatedRepo")], token: "hf_t0ken")
        let advice = "accept its licence at 127.0.0.1/owner/tiny and put a token that may read it into HF_TOKEN"
        #expect(gated == "owner/tiny is gated: \(advice)")
        #expect(try await sentence(401, [("X-Error-Code", "GatedRepo")]) == gated)
        let hidden = try await sentence(401, [("X-Error-Code", "RepoNotFound")])
        #expect(hidden.hasPrefix("127.0.0.1 has no model owner/tiny, or hides it: check the spelling, and if it is"))
        let unknown = try await sentence(404, [("X-Error-Code", "RepoNotFound")], token: "hf_t0ken")
        #expect(unknown.hasSuffix("check the spelling and what your token may read"))
        let credentials = [("X-Error-Message", "Invalid credentials in Authorization header")]
        #expect(try await sentence(401, credentials, token: "hf_t0ken").contains("does not accept your token"))
        #expect(try await sentence(403, [], token: "hf_t0ken").contains("does not let your token read owner/tiny"))
        #expect(try await sentence(401, []).contains("does not let everyone read owner/tiny"))
        #expect(try await sentence(404, []).hasPrefix("127.0.0.1 has no model owner/tiny"))
        #expect(try await sentence(418, []) == "127.0.0.1 refused the list of files of owner/tiny with status 418")
    }

    @Test func saysWhichRevisionIsMissing() async throws {
        let stage = try PullStage(Self.tiny)
        let sentence = await stage.failure("owner/tiny@nightly")
        #expect(sentence == "127.0.0.1 has no such revision of owner/tiny@nightly: check the name behind '@'")
    }

    @Test func waitsAsLongAsItIsTold() async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            guard isFirstList(request, 2) else { return answer }
            return FakeHub.Answer(429, headers: [("Retry-After", request.earlierCount == 0 ? "7" : "11")])
        }
        try await stage.pull()
        #expect(stage.pauses == [7.25, 11.25])
    }

    @Test func givesUpIfTheWaitIsTooLong() async throws {
        let stage = try PullStage(Self.tiny) { _, _ in FakeHub.Answer(429, headers: [("Retry-After", "7200")]) }
        #expect(
            await stage.failure()
                == "127.0.0.1 is too busy for owner/tiny (status 429, and asks to wait for 2 h 00 min): try again later"
        )
        #expect(stage.pauses == [])
    }

    @Test func triesAgainButNotForever() async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            isFirstList(request, 3) ? FakeHub.Answer(503) : answer
        }
        try await stage.pull()
        #expect(stage.pauses == [1, 2, 4])
        let broken = try PullStage(Self.tiny) { request, answer in
            request.server == .files ? FakeHub.Answer(500) : answer
        }
        #expect(await broken.failure().contains("is too busy for owner/tiny (status 500)"))
        #expect(broken.pauses == [1, 2, 4, 8, 16])
        // The small files are there, the model is not.
        #expect(!broken.cached.contains("models--owner--tiny/refs"))
        #expect(throws: HubError.self) { try broken.cache.path(of: RepositoryReference("owner/tiny")) }
    }

    @Test func goesOnWhereAConnectionBroke() async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            var answer = answer
            // Every range but the last bytes of it breaks, always after 10,000 bytes.
            if request.server == .files, answer.body.count > 10_000 { answer.cutAfter = 10_000 }
            return answer
        }
        let pulled = try await stage.pull()
        #expect(stage.bytes("\(Self.snapshots)/\(pulled.commit)/model.safetensors") == PullStage.weights)
        let fetched = stage.hub.requests.filter { $0.server == .files }
        // Each range of 32 KiB takes four requests, the last one of 5,088 bytes one; no byte comes twice.
        #expect(fetched.count == 9 * 4 + 1)
        #expect(stage.pauses.allSatisfy { $0 == 1 })
    }

    @Test func givesUpOnAServerThatSendsNothing() async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            var answer = answer
            if request.server == .files { answer.cutAfter = 0 }
            return answer
        }
        let sentence = await stage.failure()
        #expect(sentence.contains("the connection breaks again and again; the next pull goes on"))
        #expect(stage.pauses == [1, 2, 4, 8, 16])
    }

    @Test func givesUpOnADeadAddress() async throws {
        let address = try DeadAddress()
        let stage = try PullStage(Self.tiny, environment: ["HF_ENDPOINT": address.endpoint])
        let sentence = await stage.failure()
        #expect(sentence.hasPrefix("cannot reach 127.0.0.1 for owner/tiny: "))
        #expect(stage.pauses == [1, 2, 4, 8, 16])
        withExtendedLifetime(address) {}
    }

    @Test func noticesSilence() async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            var answer = answer
            if request.server == .files, request.earlierCount == 0 { answer.stallAfter = 1000 }
            return answer
        }
        let pulled = try await stage.pull { $0.silenceSeconds = 2 }
        #expect(stage.bytes("\(Self.snapshots)/\(pulled.commit)/model.safetensors") == PullStage.weights)
        #expect(stage.hub.requests.contains { $0.server == .files && $0.range?.lowerBound == 1000 })
        let silent = try PullStage(Self.tiny) { _, answer in
            var answer = answer
            answer.stallAfter = 0
            return answer
        }
        let sentence = await silent.failure {
            $0.silenceSeconds = 0.05
            $0.policy.failureLimit = 2
        }
        #expect(sentence.contains("it did not answer in time"))
    }

    @Test func managesWithoutRanges() async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            guard request.server == .files else { return answer }
            var whole = FakeHub.Answer(200, body: PullStage.weights)
            if request.earlierCount == 0 { whole.cutAfter = 100_000 }
            whole.announcesLength = request.earlierCount != 1
            return whole
        }
        let pulled = try await stage.pull()
        #expect(stage.bytes("\(Self.snapshots)/\(pulled.commit)/model.safetensors") == PullStage.weights)
        #expect(stage.hub.requests.filter { $0.server == .files }.count == 2)
    }

    @Test func goesOnAfterAnAddressExpired() async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            var answer = answer
            if request.server == .hub, answer.status == 302 {
                let location = answer.headers.firstIndex { $0.0 == "Location" }!
                answer.headers[location].1 += "&number=\(request.earlierCount)"
            }
            // Each address serves three requests.
            let isExpired = request.server == .files && request.earlierCount >= 3
            return isExpired ? FakeHub.Answer(403) : answer
        }
        let pulled = try await stage.pull { $0.connectionCount = 1 }
        #expect(stage.bytes("\(Self.snapshots)/\(pulled.commit)/model.safetensors") == PullStage.weights)
        #expect(stage.hub.requests.filter { $0.target.hasSuffix("model.safetensors") }.count == 4)
        #expect(stage.pauses == [])
    }

    @Test func deletesWrongContentAndTriesOnce() async throws {
        let damage = Mutex(1)
        let stage = try PullStage(Self.tiny) { request, answer in
            guard request.server == .files, request.range?.lowerBound == 0 else { return answer }
            guard
                damage.withLock({ left in
                    left -= 1; return left >= 0
                })
            else { return answer }
            var answer = answer
            answer.body[5] ^= 1
            return answer
        }
        let pulled = try await stage.pull()
        #expect(stage.bytes("\(Self.snapshots)/\(pulled.commit)/model.safetensors") == PullStage.weights)
        damage.withLock { $0 = .max }
        let sentence = await stage.failure("owner/tiny", .init(force: true))
        #expect(
            sentence.hasPrefix("model.safetensors of owner/tiny arrived twice with the wrong content: expected SHA-256")
        )
        // What was there stays, and nothing is left of the rest.
        #expect(stage.blobs().count == 3 && !stage.blobs().contains { $0.hasSuffix(".incomplete") })
        #expect(try await stage.pull("owner/tiny", .init(verify: true)).wasCached)
    }

    @Test func checksSmallFilesToo() async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            var answer = answer
            if request.target.hasSuffix("/config.json") { answer.body[0] ^= 1 }
            return answer
        }
        #expect(await stage.failure().contains("expected Git's SHA-1 "))
        #expect(!stage.cached.contains { $0.hasSuffix("config.json") })
    }

    @Test func refusesAnswersThatContradictTheList() async throws {
        let headers = [
            ("X-Repo-Commit", String(repeating: "0", count: 40)), ("X-Linked-Size", "7"),
            ("X-Linked-ETag", "\"other\""),
        ]
        for (name, value) in headers {
            let stage = try PullStage(Self.tiny) { request, answer in
                var answer = answer
                answer.headers.removeAll { $0.0 == name && request.target.hasSuffix("model.safetensors") }
                if request.target.hasSuffix("model.safetensors") { answer.headers.append((name, value)) }
                return answer
            }
            #expect(
                await stage.failure().hasPrefix("127.0.0.1 sent a wrong answer about owner/tiny: model.safetensors"))
            #expect(stage.pauses == [])
        }
        let ranges = ["bytes 1-32768/300000", "bytes 0-32767/300001", "bytes x", ""]
        for range in ranges {
            let stage = try PullStage(Self.tiny) { request, answer in
                var answer = answer
                if request.server == .files { answer.headers = [("Content-Range", range)] }
                return answer
            }
            #expect(await stage.failure().contains("sent a wrong answer"))
        }
        let short = try PullStage(Self.tiny) { request, answer in
            request.server == .files ? FakeHub.Answer(200, body: [1, 2, 3]) : answer
        }
        #expect(await short.failure().contains("has 3 bytes, expected 300000"))
    }

    @Test(arguments: ["ftp://example.org/x", "file:///etc/passwd", "", "/again"])
    func refusesRedirectsThatLeadNowhere(location: String) async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            request.target.hasPrefix("/api/") || request.target == "/again"
                ? FakeHub.Answer(302, headers: [("Location", location)]) : answer
        }
        let sentence = await stage.failure()
        #expect(sentence.contains("redirects") && stage.hub.requests.count <= 6 && stage.pauses == [])
    }

    @Test func followsRenamedRepositories() async throws {
        let stage = try PullStage(FakeRepository("new/tiny", files: Self.tiny.files)) { request, answer in
            guard request.target.contains("owner/tiny") else { return answer }
            let target = request.target.split(separator: "owner/tiny", omittingEmptySubsequences: false)
            return FakeHub.Answer(307, headers: [("Location", target.joined(separator: "new/tiny"))])
        }
        let pulled = try await stage.pull()
        #expect(try stage.cache.path(of: RepositoryReference("owner/tiny")) == pulled.path)
    }

    /// One fake hub plays the proxy, and the server behind it, which does not exist.
    @Test func goesThroughAProxy() async throws {
        let stage = try PullStage(Self.tiny)
        let other = try PullStage(
            Self.tiny,
            environment: [
                "HF_ENDPOINT": "http://hub.invalid", "http_proxy": stage.hub.endpoint, "NO_PROXY": "127.0.0.1",
            ])
        try await other.pull()
        #expect(other.hub.requests.isEmpty)
        // The file server is an exception, and asked directly.
        let hosts = Set(stage.hub.requests.map { "\($0.server) \($0.headers["host"] ?? "")" })
        #expect(hosts.count == 2 && hosts.contains("hub hub.invalid"))
    }

    @Test func refusesHostileLists() async throws {
        for path in ["../../../../evil", "/etc/evil", "a\\b"] {
            let stage = try PullStage(FakeRepository(files: Self.tiny.files + [.init(path, "x")]))
            #expect(await stage.failure().hasPrefix("the list of files of owner/tiny is refused: the path "))
            #expect(stage.cached == [] && stage.hub.requests.count == 1)
        }
        let endless = try PullStage(Self.tiny) { _, _ in
            FakeHub.Answer(200, body: [UInt8](repeating: 32, count: RepositoryListing.answerByteLimit + 1))
        }
        #expect(await endless.failure().contains("longer than"))
        let html = try PullStage(Self.tiny) { _, _ in FakeHub.Answer(200, body: Array("<html>".utf8)) }
        #expect(await html.failure().contains("is refused: invalid JSON"))
    }

    @Test func noticesAFullDiskBefore() async throws {
        let stage = try PullStage(Self.tiny) { request, answer in
            guard request.target.hasPrefix("/api/") else { return answer }
            let text = String(decoding: answer.body, as: UTF8.self)
            // A petabyte is announced.
            return FakeHub.Answer(200, body: Array(text.replacing("300000", with: "\(1 << 49)").utf8))
        }
        #expect(await stage.failure().hasPrefix("not enough space in \(stage.folder.path)/hub: 562"))
        #expect(stage.hub.requests.count == 1)
    }
}

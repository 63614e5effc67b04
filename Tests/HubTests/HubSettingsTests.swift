import Testing

@testable import Hub

@Suite struct HubSettingsTests {
    private func settings(
        _ environment: [String: String], files: [String: String] = [:]
    ) throws(RepositoryError) -> HubSettings {
        try HubSettings(environment: environment) { files[$0] }
    }

    /// As huggingface_hub's constants.py.
    @Test func findsTheCache() throws {
        let expected: [([String: String], String)] = [
            (["HOME": "/h"], "/h/.cache/huggingface/hub"),
            (["HOME": "/h", "XDG_CACHE_HOME": "/x"], "/x/huggingface/hub"),
            (["HOME": "/h", "XDG_CACHE_HOME": "/x", "HF_HOME": "/f"], "/f/hub"),
            (["HOME": "/h", "HF_HOME": "~/f"], "/h/f/hub"),
            (["HOME": "/h", "HF_HOME": "$DATA/f", "DATA": "/d"], "/d/f/hub"),
            (["HOME": "/h", "HF_HOME": "/a/${USER}/f", "USER": "me"], "/a/me/f/hub"),
            (["HOME": "/h", "HF_HOME": "/f", "HUGGINGFACE_HUB_CACHE": "/old"], "/old"),
            (["HF_HOME": "/f", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "/c"], "/c"),
            (["HOME": "/h", "HF_HOME": "", "HF_HUB_CACHE": ""], "/h/.cache/huggingface/hub"),
        ]
        for (environment, folder) in expected { #expect(try settings(environment).cacheFolder == folder) }
        #expect(throws: RepositoryError.noCacheFolder) { try settings([:]) }
    }

    @Test func findsTheToken() throws {
        let files = ["/h/.cache/huggingface/token": "from-file\n", "/t": "other"]
        let expected: [([String: String], String?)] = [
            (["HOME": "/h"], "from-file"), (["HOME": "/h", "HF_TOKEN": "hf_1"], "hf_1"),
            (["HOME": "/h", "HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "hf_2"], "hf_2"),
            (["HOME": "/h", "HF_TOKEN_PATH": "/t"], "other"), (["HOME": "/x"], nil),
            (["HOME": "/h", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"], nil),
            (["HOME": "/h", "HF_TOKEN": " hf_3\r\n"], "hf_3"),
        ]
        for (environment, token) in expected { #expect(try settings(environment, files: files).token?.text == token) }
    }

    /// A token with a line end inside would add headers of its own.
    @Test(arguments: ["two words", "tab\there", "ü", "x\u{0}", "\u{7F}", String(repeating: "x", count: 8193)])
    func refusesWhatIsNoTokenWithoutRepeatingIt(token: String) {
        let error = #expect(throws: RepositoryError.self) { try settings(["HOME": "/h", "HF_TOKEN": token]) }
        #expect(error?.sentence(about: "a/b").contains(token) == false)
        #expect(error?.sentence(about: "a/b").hasPrefix("HF_TOKEN cannot be used") == true)
    }

    @Test func showsNoSecret() throws {
        let settings = try settings([
            "HOME": "/h", "HF_TOKEN": "hf_hidden", "https_proxy": "http://me:hidden@proxy.example",
        ])
        var dumped = ""
        dump(settings, to: &dumped)
        for text in ["\(settings)", String(reflecting: settings), dumped] {
            #expect(!text.contains("hidden") && text.contains("proxy.example"))
        }
    }

    @Test func readsTheEndpoint() throws {
        #expect(try settings(["HOME": "/h"]).endpoint == "https://huggingface.co")
        let mirror = try settings(["HOME": "/h", "HF_ENDPOINT": "http://mirror.example:8080/hf//"])
        #expect(mirror.endpoint == "http://mirror.example:8080/hf")
        for bad in [
            "mirror", "ftp://a", "https://", "https://me:secret@a", "https://a?b=c", "https://a#b", "file:///x",
        ] {
            let error = #expect(throws: RepositoryError.self) { try settings(["HOME": "/h", "HF_ENDPOINT": bad]) }
            #expect(error?.sentence(about: "a/b").contains("secret") == false)
        }
    }

    @Test func goesOffline() throws {
        for value in ["1", "ON", "yes", "True"] {
            #expect(try settings(["HOME": "/h", "HF_HUB_OFFLINE": value]).isOffline)
            #expect(try settings(["HOME": "/h", "TRANSFORMERS_OFFLINE": value]).isOffline)
        }
        for value in ["", "0", "no", "false"] {
            #expect(try !settings(["HOME": "/h", "HF_HUB_OFFLINE": value]).isOffline)
        }
    }

    @Test func readsProxies() throws {
        let proxies = ProxySettings(environment: [
            "https_proxy": "http://me:pass@proxy.example:3128", "http_proxy": "plain.example",
            "HTTP_PROXY": "http://ignored.example", "NO_PROXY": "localhost, .internal.example,direct.example",
        ])
        let secure = try #require(proxies.proxy(forScheme: "https", host: "huggingface.co"))
        #expect(secure.host == "proxy.example" && secure.port == 3128)
        #expect(secure.user == "me" && secure.password?.text == "pass")
        #expect(proxies.proxy(forScheme: "http", host: "a")?.host == "plain.example")
        for host in ["localhost", "a.internal.example", "internal.example", "DIRECT.example", "x.direct.example"] {
            #expect(proxies.proxy(forScheme: "https", host: host) == nil)
        }
        for host in ["notlocalhost", "internal.example.org"] {
            #expect(proxies.proxy(forScheme: "https", host: host) != nil)
        }
        let all = ProxySettings(environment: ["ALL_PROXY": "http://a:1", "NO_PROXY": "*"])
        #expect(all.proxy(forScheme: "https", host: "b") == nil)
        #expect(ProxySettings(environment: ["HTTPS_PROXY": "socks5://a:1"]).proxy(forScheme: "https", host: "b") == nil)
    }
}

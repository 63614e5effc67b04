import TestSupport
import Testing

@testable import Hub

@Suite struct PipLogTests {
    private func explain(_ text: String, _ outcome: ChildProcess.Outcome = .exited(1)) -> HubError {
        guard case .pypi(let wheel) = FakePython.entry.source else { preconditionFailure("the entry is a wheel") }
        return PipLog(text: text).explain(outcome, of: wheel, python: "/bin/python3", folder: "/cache")
    }

    private func retrying(_ cause: String) -> String {
        let warning =
            "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection "
            + "broken by '\(cause)': /simple/tiny-model/\n"
        return String(repeating: warning, count: 5) + """
            ERROR: Could not find a version that satisfies the requirement tiny-model==1.0 (from versions: none)
            ERROR: No matching distribution found for tiny-model==1.0

            """
    }

    @Test func tellsAMissingNetworkFromAMissingPackage() {
        let causes = [
            ("NewConnectionError('...: [Errno 111] Connection refused')", "the connection was refused"),
            (
                "NewConnectionError('...: [Errno -3] Temporary failure in name resolution')",
                "its name cannot be resolved"
            ),
            ("NewConnectionError('...: [Errno -2] Name or service not known')", "its name cannot be resolved"),
            ("NewConnectionError('...: [Errno 101] Network is unreachable')", "the network is unreachable"),
            ("ConnectTimeoutError('... timed out. (connect timeout=15)')", "it did not answer in time"),
            ("ProxyError('Cannot connect to proxy.', ...)", "the proxy does not let it through"),
            (
                "SSLError(SSLCertVerificationError('[SSL: CERTIFICATE_VERIFY_FAILED] ...')",
                "its certificate cannot be verified"
            ),
        ]
        for (cause, reason) in causes {
            #expect(explain(retrying(cause)) == .unreachable(what: "tiny-model==1.0", reason: reason))
        }
        let missing = """
            ERROR: Could not find a version that satisfies the requirement tiny-model==1.0 (from versions: none)
            ERROR: No matching distribution found for tiny-model==1.0
            """
        guard case .downloadFailed(_, let reason) = explain(missing) else {
            return #expect(Bool(false), "another error")
        }
        #expect(reason.hasSuffix("(from versions: none)"))
    }

    @Test func doesNotBlameTheNetworkForALaterFailure() {
        let text =
            "WARNING: Retrying after connection broken by 'ReadTimeoutError(...)': /simple/\nERROR: wheel is invalid"
        #expect(explain(text) == .downloadFailed(what: "tiny-model==1.0", reason: "wheel is invalid"))
        let broken = "  File \"x.py\"\npip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out."
        #expect(explain(broken) == .unreachable(what: "tiny-model==1.0", reason: "it did not answer in time"))
    }

    @Test func knowsAFullDisk() {
        let text = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
        #expect(explain(text) == .diskFull(folder: "/cache", neededBytes: 22, freeBytes: nil))
    }

    @Test func hasSomethingToSayAboutSilence() {
        for text in ["", "\n\n  \n", "WARNING: only this"] {
            #expect(explain(text) == .downloadFailed(what: "tiny-model==1.0", reason: "it failed without saying why"))
        }
        #expect(
            explain("", .killed(signal: 15))
                == .downloadFailed(what: "tiny-model==1.0", reason: "it was ended by signal 15"))
    }

    @Test func turnsAnyLogIntoOneShortLine() {
        var generator = SplitMix64(seed: 11)
        let pieces = [
            "ERROR: ", "WARNING: ", "\n", "\r\n", " ", ".", "No module named pip", "connection broken by", "\u{1B}[31m",
            "(from versions: none)", "Traceback", "\u{0}", "é", "\u{FFFD}", String(repeating: "x", count: 500),
        ]
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 0...12, using: &generator))
                .map { _ in pieces[Int.random(in: 0..<pieces.count, using: &generator)] }.joined()
            let description = explain(text).description
            #expect(description.count < 600)
            #expect(!description.unicodeScalars.contains { $0.value < 0x20 })
        }
    }
}

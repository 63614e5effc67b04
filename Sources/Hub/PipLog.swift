import Terminal

/// What pip or Python printed before it failed, and what that means. Pure text in, error out.
struct PipLog {
    let text: String

    private var lines: [Substring] { text.split(whereSeparator: \.isNewline) }

    /// The error that stands for a failed `pip download`.
    func explain(
        _ outcome: ChildProcess.Outcome, of wheel: PythonWheel, python: String, folder: String
    ) -> HubError {
        let what = wheel.requirement
        if lines.contains(where: { $0.contains("No module named pip") || $0.contains("No module named 'pip'") }) {
            return .pipMissing(python: python)
        }
        if saysDiskIsFull {
            return .diskFull(folder: folder, neededBytes: wheel.wheel.byteCount * 2, freeBytes: nil)
        }
        if let reason = connectionFailure { return .unreachable(what: what, reason: reason) }
        if case .killed(let signal) = outcome {
            return .downloadFailed(what: what, reason: "it was ended by signal \(signal)")
        }
        return .downloadFailed(what: what, reason: lastMeaningfulLine ?? "it failed without saying why")
    }

    var saysDiskIsFull: Bool {
        text.contains("[Errno 28]") || text.contains("No space left on device") || text.contains("[Errno 122]")
    }

    /// Why the network failed, if it did.
    ///
    /// pip warns of each attempt that failed and then claims that no version matches; the warning holds the truth. If
    /// pip got through in the end, its last line speaks of something else.
    private var connectionFailure: String? {
        let gaveUpLooking = lines.contains { $0.contains("(from versions: none)") }
        let lastLine = lines.last.map(String.init) ?? ""
        let marks = [
            "connection broken by", "Max retries exceeded", "ReadTimeoutError", "ConnectionError", "ProxyError",
        ]
        guard let line = lines.last(where: { line in marks.contains(where: line.contains) }),
            gaveUpLooking || marks.contains(where: lastLine.contains)
        else { return nil }
        let causes = [
            ("Temporary failure in name resolution", "its name cannot be resolved"),
            ("Name or service not known", "its name cannot be resolved"),
            ("getaddrinfo failed", "its name cannot be resolved"),
            ("Connection refused", "the connection was refused"),
            ("Network is unreachable", "the network is unreachable"),
            ("CERTIFICATE_VERIFY_FAILED", "its certificate cannot be verified"),
            ("ProxyError", "the proxy does not let it through"),
            ("imed out", "it did not answer in time"),
            ("imeout", "it did not answer in time"),
        ]
        return causes.first { line.contains($0.0) }?.1 ?? shortened(line)
    }

    /// The line that says most: pip's first `ERROR:`, which the following ones only repeat in other words, else the
    /// last line, where Python puts the exception.
    var lastMeaningfulLine: String? {
        let marker = "ERROR: "
        let noticePrefixes = ["WARNING:", "[notice]", "DEPRECATION:", "Traceback"]
        let meaningful = lines.filter { line in
            !line.allSatisfy(\.isWhitespace) && !noticePrefixes.contains { line.hasPrefix($0) }
        }
        let errors = meaningful.filter { $0.hasPrefix(marker) }.map { $0.dropFirst(marker.count) }
        // Of "could not find a version (from versions: ...)" and "no matching distribution", the first says more.
        let chosen = errors.last { !$0.hasPrefix("No matching distribution") } ?? errors.last ?? meaningful.last
        return chosen.map(shortened)
    }

    /// One line fit for a sentence.
    private func shortened(_ line: Substring) -> String {
        var start = line[...]
        while start.first?.isWhitespace == true { start.removeFirst() }
        while let last = start.last, last.isWhitespace || last == "." { start.removeLast() }
        return String(start).printable.truncated(toWidth: 300, allowsUnicode: false)
    }
}

/// The exit codes of our programs.
public enum ExitStatus {
    public static let failure: Int32 = 1
    /// An environment variable of ours says what cannot be done.
    public static let environment: Int32 = 2
    /// Wrong usage: `EX_USAGE` of sysexits.h, which ArgumentParser uses too.
    public static let usage: Int32 = 64

    /// Ended by a signal, as shells count: 130 for SIGINT.
    public static func signal(_ number: Int32) -> Int32 { 128 + number }
}

/// An error as a person sees it: `error: ` and one sentence on standard error, and the exit code that goes with it.
public struct ErrorPresentation: Sendable, Equatable {
    public let sentence: String
    public let exitCode: Int32

    public init(sentence: String, exitCode: Int32 = ExitStatus.failure) {
        let lines = sentence.split(whereSeparator: \.isNewline).map { String($0).printable }
        self.sentence = lines.isEmpty ? "unknown error" : lines.joined(separator: " ")
        self.exitCode = exitCode
    }

    /// An error's own description. Our errors describe themselves in one sentence.
    public init(_ error: any Error, exitCode: Int32 = ExitStatus.failure) {
        if let interruption = error as? Interruption {
            self.init(sentence: interruption.description, exitCode: interruption.exitCode)
        } else if error is CancellationError {
            self.init(sentence: "stopped before it was done", exitCode: exitCode)
        } else {
            self.init(sentence: String(describing: error), exitCode: exitCode)
        }
    }

    public func text(for traits: OutputTraits) -> String {
        traits.allowsColour ? "\u{1B}[1;31merror:\u{1B}[0m \(sentence)\n" : "error: \(sentence)\n"
    }
}

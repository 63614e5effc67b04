import Testing

@testable import Terminal

@Suite struct OutputTraitsTests {
    @Test func followsTheEnvironment() {
        let plainLocale = OutputTraits(terminalColumns: nil, environment: [:])
        #expect(plainLocale == OutputTraits(isTerminal: true, columns: 80, allowsColour: true, allowsUnicode: false))
        #expect(OutputTraits(terminalColumns: 132, environment: ["COLUMNS": "40"]).columns == 132)
        #expect(OutputTraits(terminalColumns: nil, environment: ["COLUMNS": "40"]).columns == 40)
        for nonsense in ["", "x", "-1", "0", "99999999999999999999"] {
            #expect(OutputTraits(terminalColumns: nil, environment: ["COLUMNS": nonsense]).columns == 80)
        }
        #expect(!OutputTraits(terminalColumns: 80, environment: ["NO_COLOR": "1"]).allowsColour)
        #expect(OutputTraits(terminalColumns: 80, environment: ["NO_COLOR": ""]).allowsColour)
    }

    @Test func readsTheCharacterSetAsPOSIXDoes() {
        let expected: [([String: String], Bool)] = [
            (["LANG": "en_GB.UTF-8"], true), (["LANG": "C.utf8"], true), (["LANG": "de_DE.UTF-8@euro"], true),
            (["LANG": "C"], false), (["LANG": "en_GB.ISO-8859-1"], false),
            (["LC_ALL": "C", "LANG": "en_GB.UTF-8"], false), (["LC_ALL": "", "LC_CTYPE": "C.UTF-8"], true),
        ]
        for (environment, allows) in expected {
            #expect(OutputTraits(terminalColumns: 80, environment: environment).allowsUnicode == allows)
        }
    }

    @Test func treatsWhatIsNoTerminalAsPlain() {
        #expect(OutputTraits(descriptor: -1, environment: ["LANG": "C.UTF-8"]) == .plain)
        #expect(OutputTraits(descriptor: 2, environment: ["TERM": "dumb"]) == .plain)
    }
}

@Suite struct ErrorPresentationTests {
    private struct Failure: Error, CustomStringConvertible { let description: String }

    @Test func isOneSentenceOnOneLine() {
        let presentation = ErrorPresentation(Failure(description: "cannot open\n  a\u{1B}b"))
        #expect(presentation.text(for: .plain) == "error: cannot open   a\\u{1B}b\n")
        #expect(presentation.exitCode == 1)
        #expect(ErrorPresentation(Failure(description: "\n")).sentence == "unknown error")
    }

    @Test func colours() {
        let traits = OutputTraits(isTerminal: true, allowsColour: true)
        #expect(ErrorPresentation(sentence: "no").text(for: traits) == "\u{1B}[1;31merror:\u{1B}[0m no\n")
    }

    @Test func givesInterruptionsTheCodeOfShells() {
        #expect(ErrorPresentation(Interruption(signal: 2)).exitCode == 130)
        #expect(ErrorPresentation(CancellationError()).sentence == "stopped before it was done")
        #expect(ExitStatus.usage == 64 && ExitStatus.signal(15) == 143)
    }
}

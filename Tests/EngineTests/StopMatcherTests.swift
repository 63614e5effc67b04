import TestSupport
import Testing

@testable import Engine

@Suite struct StopMatcherTests {
    private func run(_ pieces: [String], stops: [String]) throws -> (text: String, outputs: [String], match: String?) {
        var matcher = StopMatcher(try StopStrings(stops))
        var (outputs, match) = ([String](), String?.none)
        for piece in pieces {
            let output = matcher.feed(piece)
            outputs.append(output.text)
            if let found = output.match { match = found }
        }
        outputs.append(matcher.finish())
        return (outputs.joined(), outputs, match)
    }

    @Test func holdsBackWhatMayBeginAStopString() throws {
        let result = try run(["one ", "<", "e", "nd", "> two"], stops: ["<end>"])
        #expect(result.outputs == ["one ", "", "", "", "", ""])
        #expect(result.match == "<end>")
        #expect(try run(["one <", "en", "x"], stops: ["<end>"]).outputs == ["one ", "", "<enx", ""])
        #expect(try run(["a<<e", "nd"], stops: ["<end>"]).outputs == ["a<", "", "<end"])
    }

    @Test func dropsEverythingFromTheMatchOn() throws {
        let result = try run(["ab", "cSTOPd", "ef", "STOP"], stops: ["STOP"])
        #expect(result.text == "abc" && result.match == "STOP")
    }

    @Test func takesTheMatchThatEndsFirstAndOfThoseTheLongest() throws {
        #expect(try run(["xabcd"], stops: ["abcd", "bc"]).match == "bc")
        #expect(try run(["xabcd"], stops: ["abcd", "bc"]).text == "xa")
        #expect(try run(["xabc"], stops: ["bc", "abc", "c"]).match == "abc")
        #expect(try run(["xabc"], stops: ["bc", "abc", "c"]).text == "x")
    }

    @Test func followsRepeatingPatterns() throws {
        #expect(try run(["aaab"], stops: ["aab"]).outputs == ["a", ""])
        #expect(try run(["\n", "\n", "\n", "x"], stops: ["\n\n\n\n"]).outputs == ["", "", "", "\n\n\nx", ""])
        #expect(try run(["ab", "ab", "ac"], stops: ["ababac"]).outputs == ["", "", "", ""])
        #expect(try run(["abababac"], stops: ["ababac"]).outputs == ["ab", ""])
    }

    @Test func comparesBytesAndKeepsCharactersWhole() throws {
        // ä is C3 A4, ö is C3 B6: the same first byte holds nothing back of whole characters.
        #expect(try run(["aä", "ö"], stops: ["ö"]).outputs == ["aä", "", ""])
        #expect(try run(["日本", "語"], stops: ["本語"]).outputs == ["日", "", ""])
        #expect(try run(["e\u{301}"], stops: ["é"]).match == nil)
        #expect(try run(["👍🏽"], stops: ["👍"]).match == "👍")
        #expect(try run(["\r\n\n"], stops: ["\n"]).text == "\r")
    }

    @Test func passesEverythingWithoutStopStrings() throws {
        #expect(try run(["a", "", "b"], stops: []).outputs == ["a", "", "b", ""])
    }

    @Test func staysFinished() throws {
        var matcher = StopMatcher(try StopStrings(["x"]))
        #expect(matcher.feed("ax").match == "x" && matcher.isFinished)
        #expect(matcher.feed("bx") == .init(text: "", match: nil))
        #expect(matcher.finish() == "")
    }

    @Test func refusesBadStopStrings() throws {
        #expect(throws: StopStringError.empty(index: 1)) { try StopStrings(["a", ""]) }
        #expect(throws: StopStringError.tooMany(count: 33, limit: 32)) {
            try StopStrings(Array(repeating: "a", count: 33))
        }
        let long = String(repeating: "é", count: 512)
        #expect(try StopStrings([long]).strings == [long])
        #expect(throws: StopStringError.tooLong(index: 0, byteCount: 1025, limit: 1024)) {
            try StopStrings([long + "x"])
        }
    }

    /// Text of a small alphabet with characters of one to four bytes, cut anywhere between scalars, against a search
    /// that has the whole text before it.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func agreesWithANaiveSearch(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let alphabet: [Unicode.Scalar] = seed % 2 == 0 ? ["a", "b"] : ["a", "ä", "ö", "語", "👍", "\u{301}"]
        func text(_ lengths: ClosedRange<Int>) -> String {
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: lengths, using: &random) {
                text.append(alphabet.randomElement(using: &random)!)
            }
            return String(text)
        }
        for _ in 0..<600 {
            let stops = (0..<Int.random(in: 1...4, using: &random)).map { _ in text(1...6) }
            let pieces = (0..<Int.random(in: 0...12, using: &random)).map { _ in text(0...4) }
            let whole = Array(pieces.joined().utf8)
            let expected = naiveSearch(whole, stops.map { Array($0.utf8) })
            var matcher = StopMatcher(try StopStrings(stops))
            var (passed, fed, match) = ([UInt8](), [UInt8](), String?.none)
            for piece in pieces where match == nil {
                let output = matcher.feed(piece)
                passed += output.text.utf8
                fed += piece.utf8
                match = output.match
                #expect(!output.text.unicodeScalars.contains("\u{FFFD}"))
                // What is held back is no longer than it must be.
                if match == nil { #expect(fed.count - passed.count == longestBeginning(at: fed, stops)) }
            }
            passed += matcher.finish().utf8
            #expect(passed == Array(whole.prefix(expected?.start ?? whole.count)), "\(pieces), \(stops)")
            #expect(match.map { Array($0.utf8) } == expected.map { Array(whole[$0.start..<$0.end]) })
        }
    }

    private func naiveSearch(_ text: [UInt8], _ stops: [[UInt8]]) -> (start: Int, end: Int)? {
        for end in 0...text.count {
            let starts = stops.filter { text[..<end].reversed().starts(with: $0.reversed()) }.map { end - $0.count }
            if let start = starts.min() { return (start, end) }
        }
        return nil
    }

    private func longestBeginning(at text: [UInt8], _ stops: [String]) -> Int {
        stops.map { stop in
            let bytes = Array(stop.utf8)
            return (0...min(bytes.count, text.count)).last { text.suffix($0).elementsEqual(bytes.prefix($0)) }!
        }.max() ?? 0
    }
}

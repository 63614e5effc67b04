import TestSupport
import Testing

@testable import Tokenizers

@Suite struct AddedTokenMatcherTests {
    /// The parts of `text`: texts as they are, tokens as "#id".
    private func parts(_ text: String, _ tokens: [AddedToken], findingSpecial: Bool = true) -> [String] {
        let matcher = AddedTokenMatcher(tokens: tokens, patterns: tokens.map(\.content))
        return Array(text.utf8).withUnsafeBufferPointer { bytes in
            matcher.parts(of: bytes, findingSpecial: findingSpecial).map { part in
                switch part {
                case .text(let range): String(decoding: bytes[range], as: UTF8.self)
                case .token(let id): "#\(id)"
                }
            }
        }
    }

    @Test func findsTheLongestFromLeftToRight() {
        let tokens = [
            AddedToken(id: 1, content: "<a>"), AddedToken(id: 2, content: "<a><b>"), AddedToken(id: 3, content: "b>"),
        ]
        #expect(parts("x<a><b>y<a><b<a>", tokens) == ["x", "#2", "y", "#1", "<b", "#1"])
        #expect(parts("", tokens) == [])
        #expect(parts("<a", tokens) == ["<a"])
        #expect(parts("abc", []) == ["abc"])
    }

    @Test func stripsSpacesAround() {
        let left = AddedToken(id: 1, content: "<l>", stripsLeft: true)
        let right = AddedToken(id: 2, content: "<r>", stripsRight: true)
        #expect(parts("a \u{3000}<l> b", [left, right]) == ["a", "#1", " b"])
        #expect(parts("a <r>\n\t b", [left, right]) == ["a ", "#2", "b"])
        #expect(parts("<r>  <l>", [left, right]) == ["#2", "#1"])
        #expect(parts("  <l>", [left, right]) == ["#1"])
    }

    @Test func findsSingleWordsOnlyBetweenOtherThings() {
        let word = AddedToken(id: 1, content: "the", isSingleWord: true)
        #expect(parts("the other, the_ the-the", [word]) == ["#1", " other, the_ ", "#1", "-", "#1"])
        #expect(parts("éthe theé", [word]) == ["éthe theé"])
    }

    /// As in the reference: what is matched but not taken still hides what overlaps it.
    @Test func passesOverSpecialTokensWhole() {
        let tokens = [AddedToken(id: 1, content: "<ab>"), AddedToken(id: 2, content: "ab", isSpecial: false)]
        #expect(parts("ab<ab>ab", tokens, findingSpecial: false) == ["#2", "<ab>", "#2"])
    }

    @Test func matchesTheNaiveModel() {
        var generator = SplitMix64(seed: 4)
        for _ in 0..<300 {
            var contents: Set<String> = []
            for _ in 0..<6 {
                let length = Int.random(in: 1...4, using: &generator)
                contents.insert(String((0..<length).map { _ in "abé".randomElement(using: &generator)! }))
            }
            let tokens = contents.sorted().enumerated().map { AddedToken(id: $0, content: $1) }
            let text = (0..<30).map { _ in String("abéc".randomElement(using: &generator)!) }.joined()
            var expected: [String] = []
            var plain = ""
            var rest = Substring(text)
            while let first = rest.first {
                let matches = tokens.filter { rest.hasPrefix($0.content) }
                guard let match = matches.max(by: { $0.content.count < $1.content.count }) else {
                    plain.append(first)
                    rest = rest.dropFirst()
                    continue
                }
                if !plain.isEmpty { expected.append(plain) }
                plain = ""
                expected.append("#\(match.id)")
                rest = rest.dropFirst(match.content.count)
            }
            if !plain.isEmpty { expected.append(plain) }
            #expect(parts(text, tokens) == expected)
        }
    }
}

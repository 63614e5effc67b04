import TestSupport
import Testing

@testable import Tokenizers

@Suite struct PatternTests {
    private func matches(_ expression: String, _ text: String) throws -> [String] {
        let pattern = try Pattern(expression: expression)
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            pattern.matches(in: buffer).map { String(decoding: buffer[$0], as: UTF8.self) }
        }
    }

    private func refusal(_ expression: String) -> String {
        do throws(TokenizerError) {
            _ = try Pattern(expression: expression)
            return "nothing was refused"
        } catch { return error.description }
    }

    /// Results are those of the `tokenizers` package.
    @Test(arguments: [
        (#"a|ab"#, "abab", ["a", "a"]), (#"(?:ab|a)b?"#, "abba", ["abb", "a"]), (#"a*?b"#, "aab", ["aab"]),
        (#"a{2}"#, "aaaaa", ["aa", "aa"]), (#"a{2,3}"#, "aaaaa", ["aaa", "aa"]), (#"a{,2}b"#, "aaab", ["aab"]),
        (#"a{2}+"#, "aaaaa", ["aaaa"]), (#"a{1,2}?"#, "aaa", ["a", "a", "a"]), (#"a++a"#, "aaa", []),
        (#"(?>a|ab)c"#, "abc", []), (#"\s+(?!\S)"#, "a   b", ["  "]), (#"(?<=a)b"#, "abb", ["b"]),
        (#"(?<!a)b"#, "abb", ["b"]), (#"^b"#, "b\nb", ["b", "b"]), (#"b$"#, "b\nb", ["b", "b"]),
        (#"\Ab|b\z"#, "b\nb", ["b", "b"]), (#"\bb"#, "ab b", ["b"]), (#"."#, "a\n", ["a"]),
        (#"[^a-c]"#, "abcd", ["d"]), (#"[a-z&&[^aeiou]]+"#, "hello", ["h", "ll"]), (#"[]a]"#, "a]", ["a", "]"]),
        (#"[a\-z]"#, "a-m", ["a", "-"]), (#"(?i:'s)"#, "'S'\u{17F}", ["'S", "'\u{17F}"]),
        (#"(?i)k(?-i:k)"#, "kk\u{212A}k", ["kk", "\u{212A}k"]), (#"\p{Lu}\P{Lu}"#, "AbC", ["Ab"]),
        (#"\p{^L}"#, "a1", ["1"]), (#"\x{4E00}|\u4E01"#, "\u{4E00}\u{4E01}", ["\u{4E00}", "\u{4E01}"]),
        (#"\p{Han}+"#, "a\u{4E00}\u{3042}", ["\u{4E00}"]), (#"\w"#, "\u{B2}", ["\u{B2}"]), (#"[\w]"#, "\u{B2}", []),
        (#"(?=(\d{3})+(?!\d))"#, "1234567", ["", ""]), (#"x*"#, "axb", ["", "x", ""]),
    ])
    func matches(expression: String, text: String, expected: [String]) throws {
        #expect(try matches(expression, text) == expected)
    }

    @Test(arguments: [
        (#"(a)\1"#, "a reference to a capture"), ("a**", "a repetition of a repetition"),
        ("*", "a repetition of nothing"),
        ("(a", "a group without an end"), ("a)", "an unexpected ')'"), ("[a", "a '[' without an end"),
        ("(a*)*", "a repetition of what can be empty"), ("a{3,2}", "a count that ends before it starts"),
        ("a{1001}", "a count above 1000"), ("a{", "a '{' without a count"), (#"\p{Klingon}"#, "the property"),
        ("(?<=ab)", "looking behind more than a character"), ("[[:alpha:]]", "a set by a name of POSIX"),
        ("(?i:é)", "ignored cases beyond ASCII"), ("(?i:ss)", "letters that have a ligature"),
        ("(?x:a)", "a group of an unknown kind"), (#"\y"#, "the escape"), (#"\"#, "an end in the middle"),
        ("[b-a]", "a range that ends before it starts"), (#"\x{110000}"#, "a number of no character"),
        (#"\xFF"#, "a byte of a character"), ("(?>a+b)", "atomic group"), ("(?:ab)++", "atomic group"),
    ])
    func refusesByName(expression: String, expected: String) {
        #expect(refusal(expression).contains(expected), "\(refusal(expression))")
    }

    @Test func refusesWhatIsTooLarge() {
        #expect(refusal(String(repeating: "(", count: 40) + String(repeating: ")", count: 40)).contains("too deeply"))
        #expect(refusal(String(repeating: "[", count: 40) + String(repeating: "]", count: 40)).contains("too deeply"))
        #expect(refusal("((a{1000}){1000}){1000}").contains("more than 20000 steps"))
        #expect(refusal("a{0,1000}").contains("1000 choices, expected at most 512"))
        #expect(refusal(String(repeating: "a", count: 20_000)).contains("20000 characters, expected at most 16384"))
    }

    /// The scanners and the engine find the same pieces.
    @Test(arguments: [PreTokenizer.gpt2, .llama3, .qwen2])
    func agreesWithTheScanner(preTokenizer: PreTokenizer) throws {
        let pattern = try Pattern(expression: preTokenizer.pattern)
        var generator = SplitMix64(seed: 12)
        let parts = ["'s", "'LL", " ", "\n", "\r\n", "a", "É", "12", "٣", "!", "'", "\u{A0}", "\u{17F}", "👍", "中"]
        for round in 0..<200 {
            var text = String.random(count: round % 60, using: &generator)
            for _ in 0..<20 { text += parts.randomElement(using: &generator)! }
            Array(text.utf8).withUnsafeBufferPointer { bytes in
                var scanner = PieceScanner(bytes, preTokenizer: preTokenizer)
                var pieces: [Range<Int>] = []
                while let piece = scanner.next() { pieces.append(piece) }
                #expect(pattern.matches(in: bytes) == pieces, "\(text.debugDescription)")
            }
        }
    }

    /// Patterns that take other engines exponential or quadratic time.
    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            #"(?:a|a)+b"#, #"(?:a+)+b"#, #"a*a*a*a*b"#, #"(?:a|aa)+$|b"#, #"a*b|a"#, #"a*+b|a"#, #"a*?b|a"#,
            #"(?=a*b)a|a"#, #"(?=a*)a"#, #"(?=(?:aa)+)a"#, #"(?!a*b)a"#, #"(?:a?){30}a{30}|c"#, #"(?>a{1,200}b|a)"#,
        ])
    func staysLinear(expression: String) throws {
        let text = String(repeating: "a", count: 6_000)
        let matches = try matches(expression, text)
        #expect(matches.joined().count <= text.count)
    }

    /// Any text is a pattern or is refused; a pattern finds something or nothing in bounded time.
    @Test(.timeLimit(.minutes(5)))
    func survivesRandomPatterns() {
        let atoms = [
            "a", "b", ".", "\\s", "\\p{L}", "[ab]", "[^a]", "(", ")", "(?:", "(?=", "(?!", "(?<=", "(?>", "|", "*", "+",
            "?", "{2}", "{1,3}", "{,2}", "^", "$", "\\b", "\\", "[", "]", "&&", "-", "(?i)", "é", "\\x{61}",
        ]
        var generator = SplitMix64(seed: 21)
        var count = 0
        for _ in 0..<6_000 {
            let expression = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                atoms.randomElement(using: &generator)!
            }.joined()
            guard let found = try? matches(expression, "ab aab\nébb  a") else { continue }
            count += 1
            #expect(found.allSatisfy { !$0.contains("\u{FFFD}") })
        }
        #expect(count > 500)
    }
}

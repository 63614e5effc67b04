import OrderedJSON
import TestSupport
import Testing

@Suite struct JSONTests {
    @Test(arguments: [
        #"{"b":1,"a":[true,false,null,-2,0.5,1e3],"c":{"d":"x"}}"#, "[]", "{}", "0", #""""#,
    ])
    func readsBackWhatItWrites(text: String) throws {
        let value = try JSON(parsing: text)
        #expect(try JSON(parsing: value.text()) == value)
        #expect(try JSON(parsing: value.text(pretty: true)) == value)
    }

    @Test func keepsTheOrderOfKeys() throws {
        let value = try JSON(parsing: #"{"z":1,"a":2,"m":3}"#)
        #expect(value.objectValue.map { Array($0.keys) } == ["z", "a", "m"])
        #expect(value.text() == #"{"z":1,"a":2,"m":3}"#)
    }

    @Test func readsEscapes() throws {
        let value = try JSON(parsing: #""a\n\"\\\/\u00e9\ud83d\ude00""#)
        #expect(value == .string("a\n\"\\/\u{e9}\u{1F600}"))
        #expect(JSON.string("\u{01}\"\\\n").text() == #""\u0001\"\\\n""#)
    }

    @Test(arguments: [
        "", "{", "[1,", "[1 2]", #"{"a":1,"a":2}"#, #"{"a" 1}"#, "tru", "01", "1.", "1e", "-", #""\ud800""#,
        #""\ud800\u0041""#, #""\x""#, "\"a\nb\"", "1 2", "1e999", #""abc"#, "nul", "{1:2}",
    ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try JSON(parsing: text) }
    }

    @Test func refusesDeepNesting() {
        #expect(throws: JSONError.self) { try JSON(parsing: String(repeating: "[", count: 100_000)) }
    }

    @Test func refusesInvalidUTF8() {
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0xFF, 0x22]) }
    }

    /// Any damaged text either parses or throws; nothing else may happen.
    @Test func survivesMutations() {
        let original = Array(#"{"a":[1,2.5,{"b":"c\u00e9"}],"d":null,"e":-1e-3}"#.utf8)
        var generator = SplitMix64(seed: 1)
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            _ = try? JSON(parsing: bytes)
        }
    }
}

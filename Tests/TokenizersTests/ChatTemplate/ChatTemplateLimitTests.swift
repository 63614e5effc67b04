import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Tokenizers

@Suite struct ChatTemplateLimitTests {
    private static func limits(steps: Int = 200_000, bytes: Int = 1 << 20) -> ChatTemplate.Limits {
        var limits = ChatTemplate.Limits()
        limits.maximumSteps = steps
        limits.maximumOutputBytes = bytes
        return limits
    }

    private static func failure(of source: String) -> ChatTemplateError? {
        do throws(ChatTemplateError) {
            let template = try ChatTemplate(source: source, limits: limits())
            _ = try template.render(messages: [] as [JSON], addGenerationPrompt: true)
            return nil
        } catch { return error }
    }

    @Test(arguments: [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{% if n %}{{ [m(n - 1) ~ m(n - 1)] | map('upper') | list }}{% endif %}"
            + "{% endmacro %}{{ m(90) }}",
        "{% set s = namespace(x='x') %}{% for i in range(99) %}{% set s.x = s.x ~ s.x %}{% endfor %}",
        "{% set s = namespace(x='x') %}{% for i in range(99) %}{% set s.x = s.x + s.x %}{% endfor %}",
        "{% set s = namespace(x=[1]) %}{% for i in range(99) %}{% set s.x = s.x + s.x %}{% endfor %}",
        "{% set s = namespace(x=[1]) %}{% for i in range(99) %}{% set s.x = [s.x, s.x] %}{% endfor %}{{ s.x }}",
        "{% set s = namespace(x=[1]) %}{% for i in range(99) %}{% set s.x = [s.x, s.x] %}{% endfor %}"
            + "{{ s.x | tojson }}",
        "{% set s = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set s.x = [s.x, s.x] %}"
            + "{% set s.y = [s.y, s.y] %}{% endfor %}{{ s.x == s.y }}",
        "{% set s = namespace(x=1) %}{% for i in range(999) %}{% set s.x = [s.x] %}{% endfor %}",
        "{% set s = namespace(x=1) %}{% for i in range(999) %}{% set s.x = {'a': s.x} %}{% endfor %}",
        "{% set s = namespace(x=[1]) %}{% for i in range(999) %}{% set s.x = s.x | map('upper') %}{% endfor %}",
        "{% set s = namespace(x=[1]) %}{% for i in range(999) %}{% set s.x = s.x | select %}{% endfor %}",
        "{% set s = namespace(x='a') %}{% for i in range(999) %}{% set s.x = {'a': s.x}.get %}{% endfor %}",
        "{% set s = namespace(x='a') %}{% for i in range(999) %}{% set s.x = joiner(s.x) %}{% endfor %}",
        "{% set s = namespace(x='a') %}{% for i in range(999) %}{% set s.x = cycler(s.x) %}{% endfor %}",
        "{% set s = namespace(x=1) %}{% for i in range(999) %}{% for x in [s.x] %}{% set s.x = [loop] %}"
            + "{% endfor %}{% endfor %}{{ 'a' * 99999999 }}",
        "{% set s = namespace() %}{% set s.s = s %}{{ s }}",
        "{{ 'x' * 999999999999 }}", "{{ [1] * 999999999999 }}", "{{ (1, 2) * 4611686018427387904 }}",
        "{{ ('a' * 100000).replace('a', 'b' * 100000) }}", "{{ ('a' * 100000) | replace('', 'b' * 100) }}",
        "{{ ('b' * 1000000).join('a' * 100000) }}", "{{ 'abc' | list | join('b' * 999999) }}",
        "{{ 'a'.center(999999999) }}", "{{ 'a'.zfill(999999999) }}", "{{ 'a' | center(999999999) }}",
        "{{ '%999999999d' % 1 }}", "{{ '%*d' % (999999999, 1) }}", "{{ '{:999999999}'.format(1) }}",
        "{{ '%.999999f' % 1.5 }}", "{{ '{:.999999f}'.format(1.5) }}", "{{ 'a\nb' | indent(999999999) }}",
        "{{ [[1]] | tojson(indent=999999999) }}", "{{ range(100001) }}", "{{ range(0, -1000000000, -1) }}",
        "{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
        "{{ [1] | batch(999999999, 1) | list }}", "{{ ('\\n' * 999999) | list }}",
        "{{ ('\\n' * 999999).splitlines() }}",
        "{% filter indent(99999) %}{% for i in range(9999) %}{{ '\\n.' }}{% endfor %}{% endfilter %}",
    ])
    func hostileTemplatesRunIntoALimit(source: String) {
        #expect(Self.failure(of: source)?.kind == .limit)
    }

    @Test(arguments: [
        ("{{ ", "(", "1", ")", " }}"), ("{{ ", "[", "", "]", " }}"), ("{{ ", "{1: ", "1", "}", " }}"),
        ("{{ ", "not ", "1", "", " }}"), ("{{ ", "- ", "1", "", " }}"), ("{{ ", "", "1", "+1", " }}"),
        ("{{ ", "", "a", ".a", " }}"), ("{{ ", "", "a", "[0]", " }}"), ("{{ ", "", "a", "|list", " }}"),
        ("{{ ", "", "1", " and 1", " }}"), ("{{ ", "", "1", " if 1", " }}"), ("{{ ", "1 if 1 else ", "1", "", " }}"),
        ("{{ ", "f(", "", ")", " }}"), ("{{ ", "", "1", " ** 1", " }}"), ("{{ ", "", "a", "()", " }}"),
        ("{{ a is eq ", "(", "1", ")", " }}"), ("{% set ", "(", "a", ")", " = 1 %}"),
        ("", "{% if 1 %}", "", "{% endif %}", ""), ("", "{% for a in [1] %}", "", "{% endfor %}", ""),
        ("", "{% macro m() %}", "", "{% endmacro %}", ""), ("", "{% filter trim %}", "", "{% endfilter %}", ""),
        ("", "{% generation %}", "", "{% endgeneration %}", ""), ("", "{% set x %}", "", "{% endset %}", ""),
    ])
    func deepNestingIsRefused(parts: (String, String, String, String, String)) {
        let (start, open, middle, close, end) = parts
        for count in [300, 30_000] {
            let source =
                start + String(repeating: open, count: count) + middle + String(repeating: close, count: count) + end
            #expect(Self.failure(of: source)?.kind == .limit, "\(start)\(open) x \(count)")
        }
    }

    /// The smallest stacks around, those of secondary threads on Apple's systems, hold 512 KiB.
    @Test(arguments: [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% if 1 %}{% for a in [1] %}{% set x %}{{ [m()] | map('upper') | join }}{% endset %}"
            + "{{ x }}{% endfor %}{% endif %}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ [[1]] | map('sort', attribute='0') | list }}{% call m() %}{{ caller() }}{% endcall %}"
            + "{% endmacro %}{{ m() }}",
        "{% macro m(x) %}{% for y in x if m(x) %}{% endfor %}{% endmacro %}{{ m([1]) }}",
        "{{ " + String(repeating: "(", count: 30) + "1" + String(repeating: "+1)", count: 30) + " }}"
            + "{{ " + String(repeating: "[", count: 60) + String(repeating: "]", count: 60) + " | tojson(indent=1) }}"
            + "{{ " + String(repeating: "(", count: 99),
    ])
    func deepRecursionStaysWithinASmallStack(source: String) {
        let failures = Box()
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            failures.error = Self.failure(of: source)
            done.signal()
        }
        #if DEBUG
        thread.stackSize = 3 << 20
        #else
        thread.stackSize = 512 << 10
        #endif
        thread.start()
        done.wait()
        #expect(failures.error?.kind == .limit)
    }

    private final class Box: @unchecked Sendable { var error: ChatTemplateError? }

    @Test func longTemplatesAreRefused() {
        var limits = ChatTemplate.Limits()
        limits.maximumSourceBytes = 10
        #expect(throws: ChatTemplateError.self) { try ChatTemplate(source: "12345678901", limits: limits) }
        #expect(throws: Never.self) { try ChatTemplate(source: "1234567890", limits: limits) }
        let most = String(repeating: "a", count: 1 << 20)
        #expect(throws: Never.self) { try ChatTemplate(source: most) }
        #expect(throws: ChatTemplateError.self) { try ChatTemplate(source: most + "a") }
    }

    @Test(arguments: [
        "{% set s = namespace() %}{% set s.s = s %}", "{% macro m() %}{% endmacro %}{% set n = m %}",
        "{% set s = namespace() %}{% for x in [1] %}{% set s.l = loop %}{% set s.m = [loop, s] %}{% endfor %}",
        "{% set s = namespace() %}{% set s.g = [s] | map(attribute='g') %}{% set x = s.g | select %}",
        "{% set s = namespace(x=0) %}{% for i in range(20000) %}{% set s.x = namespace(x=s.x) %}{% endfor %}",
        "{% set s = namespace(x=0) %}{% for i in range(9000) %}{% set s.x = namespace(x=[s.x], g=[s] | select) %}"
            + "{% endfor %}{{ s.x.x[0].y.z }}",
    ])
    func cyclesAndChainsAreReleased(source: String) throws {
        weak var leaked: TemplateInterpreter?
        do {
            let interpreter = TemplateInterpreter(limits: Self.limits(), date: nil)
            leaked = interpreter
            _ = try? interpreter.run(try TemplateParser.parse(source))
        }
        #expect(leaked == nil)
    }

    @Test func integersThatOverflowAreRefused() {
        for expression in [
            "9223372036854775807 + 1", "-9223372036854775807 - 2", "9223372036854775807 * 2", "2 ** 63", "2 ** 999999",
            "(-9223372036854775807 - 1) // -1", "-(-9223372036854775807 - 1)", "(-9223372036854775807 - 1) | abs",
            "1e300 | int", "9223372036854775808", "'1e300' | int", "'%d' % 1e300", "9223372036854775807 | round(-1)",
        ] {
            let failure = Self.failure(of: "{{ \(expression) }}")
            #expect(failure?.kind == .evaluation || failure?.kind == .syntax, "\(expression)")
        }
        for expression in [
            "(-9223372036854775807 - 1) % -1", "'a'[9223372036854775807:]", "'a'[-9223372036854775807:]",
            "'abc'[::9223372036854775807]", "'abc'[::-9223372036854775807]", "[1][::-9223372036854775807]",
            "'abc'.find('b', -9223372036854775807)", "'abc'.count('b', 9223372036854775807)",
            "'a' * -9223372036854775807", "'a'.center(-9223372036854775807)", "'a,b'.split(',', 9223372036854775807)",
            "(-9223372036854775807 - 1) == -9223372036854775808.0", "9223372036854775807 < 9223372036854775808.0",
        ] {
            #expect(Self.failure(of: "{{ \(expression) }}") == nil, "\(expression)")
        }
    }

    /// Damaged templates may be refused or render nonsense, but never crash, hang or take much memory.
    @Test func mutatedTemplatesNeverCrash() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/chat-templates")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path()).sorted()
        try #require(names.count > 5)
        var generator = SplitMix64(seed: 7)
        let pieces = [
            "{%", "%}", "{{", "}}", "{#", "#}", "-", "+", "'", "\"", "\\", "(", ")", "[", "]", "{", "}", "|", ".", ",",
            ":",
            "=", " if ", " else ", " not ", " in ", " is ", "{% endif %}", "{% endfor %}", "{% for x in messages %}",
            "{% raw %}",
            "{% set x = x %}", "loop.last", "namespace()", "[::-1]", "|map('upper')", "|tojson(indent=2)", "0", "9",
            "e9", "é",
            "\u{301}", "\u{2028}", "\r\n", "\0", "*", "**", "~", "%", "messages", "|list", "|last", "range(9)",
            ".split('')",
        ]
        let messages: [JSON] = [
            ["role": "system", "content": "a\nb"], ["role": "user", "content": "x y"],
            ["role": "assistant", "content": .null, "tool_calls": [["function": ["name": "f", "arguments": [:]]]]],
            ["role": "tool", "content": [["type": "text", "text": "é"]]],
        ]
        for name in names {
            let source = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
            let original = Array(source.unicodeScalars)
            for _ in 0..<60 {
                var scalars = original
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let start = Int.random(in: 0...scalars.count, using: &generator)
                    let end = min(scalars.count, start + Int.random(in: 0...12, using: &generator))
                    switch Int.random(in: 0..<4, using: &generator) {
                    case 0: scalars.removeSubrange(start..<end)
                    case 1:
                        scalars.insert(contentsOf: pieces.randomElement(using: &generator)!.unicodeScalars, at: start)
                    case 2: scalars.insert(contentsOf: scalars[start..<end], at: start)
                    default: scalars.removeSubrange(start...)
                    }
                }
                var text = String.UnicodeScalarView()
                text.append(contentsOf: scalars)
                do throws(ChatTemplateError) {
                    let template = try ChatTemplate(source: String(text), limits: Self.limits())
                    let prompt = try template.render(
                        messages: messages, tools: [["type": "function"]], addGenerationPrompt: true, bosToken: "<s>")
                    #expect(prompt.utf8.count <= 1 << 20)
                } catch {
                    #expect(error.line >= 1 && !error.message.isEmpty)
                }
            }
        }
    }

    @Test func everyPrefixOfATemplateIsHandled() throws {
        let source =
            "{#- c -#}{%- set ns = namespace(a='\\n\\x41', b=1.5e3) -%}{% raw %}{{ {% endraw %}"
            + "{% for a, b in {'x': [1, (2,)]}.items() if a is not none %}{{ a[::-1] ~ b|map('string')|join(', ') }}"
            + "{%- else -%}{% break %}{% endfor %}"
        for count in 0...source.count {
            for suffix in ["", "%}", "}}", "#}", "'", "\"", "\\"] {
                _ = Self.failure(of: source.prefix(count) + suffix)
            }
        }
    }
}

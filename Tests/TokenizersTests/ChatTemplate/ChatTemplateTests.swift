import OrderedJSON
import Testing
import Tokenizers

@Suite struct ChatTemplateTests {
    private func render(
        _ source: String, tools: JSON? = nil, date: ChatTemplateDate? = nil, bosToken: String? = nil
    ) throws(ChatTemplateError) -> String {
        try ChatTemplate(source: source).render(
            messages: [ChatMessage(role: "user", content: "Hi")], tools: tools, addGenerationPrompt: true,
            bosToken: bosToken, date: date)
    }

    private func failure(of source: String) -> ChatTemplateError? {
        do throws(ChatTemplateError) {
            _ = try render(source)
            return nil
        } catch { return error }
    }

    @Test func rendersPlainMessages() throws {
        let template = try ChatTemplate(
            source: "{% for m in messages %}<{{ m.role }}>{{ m['content'] }}{% endfor %}{{ eos_token }}"
                + "{% if add_generation_prompt %}<assistant>{% endif %}")
        let messages = [ChatMessage(role: "system", content: "Be brief."), ChatMessage(role: "user", content: "Hi")]
        #expect(
            try template.render(messages: messages, addGenerationPrompt: true, eosToken: "</s>")
                == "<system>Be brief.<user>Hi</s><assistant>")
        #expect(try template.render(messages: messages, addGenerationPrompt: false) == "<system>Be brief.<user>Hi")
        #expect(try template.render(messages: [] as [ChatMessage], addGenerationPrompt: false) == "")
    }

    @Test func variablesReachTheTemplate() throws {
        let template = try ChatTemplate(
            source:
                "{{ bos_token }}{{ enable_thinking }}{{ tools }}{{ documents }}{{ extra.a[0] }}{{ messages|length }}")
        let text = try template.render(
            messages: [] as [JSON], tools: [["name": "f"]], addGenerationPrompt: false, bosToken: "<s>",
            variables: ["enable_thinking": false, "extra": ["a": [1.5]], "messages": "not these", "tools": .null])
        #expect(text == "<s>False[{'name': 'f'}]None1.50")
    }

    @Test func unsetVariablesAreUndefinedButToolsAreNone() throws {
        #expect(try render("{{ bos_token is defined }}{{ tools }}{{ tools is defined }}") == "FalseNoneTrue")
        #expect(try render("[{{ bos_token }}]") == "[]")
        #expect(try render("{{ bos_token }}", bosToken: "<s>") == "<s>")
    }

    @Test func reasoningIsFoundUnderAnyOfItsNames() throws {
        let template = try ChatTemplate(
            source: "{% for m in messages %}{{ m.reasoning_content }},{{ m.thinking }};{% endfor %}")
        let messages: [JSON] = [
            ["role": "assistant", "reasoning": "a"], ["role": "assistant", "thinking": "b"],
            ["role": "assistant", "reasoning_content": "c", "reasoning": "d"],
            ["role": "assistant", "reasoning": .null],
        ]
        #expect(try template.render(messages: messages, addGenerationPrompt: false) == "a,a;b,b;c,c;,;")
    }

    @Test func messagesMustBeObjects() throws {
        let template = try ChatTemplate(source: "")
        #expect(throws: ChatTemplateError.self) {
            try template.render(messages: ["hello"] as [JSON], addGenerationPrompt: false)
        }
    }

    @Test func canonicallyEquivalentStringsStayDifferent() throws {
        #expect(
            try render(
                "{{ 'e\u{301}' == '\u{E9}' }}{{ 'e\u{301}' | length }}{{ {'e\u{301}': 1, '\u{E9}': 2} | length }}")
                == "False22")
        #expect(try render("{{ 'e\u{301}x'.split('e') | length }}{{ '\u{301}' in 'e\u{301}' }}") == "2True")
        // A carriage return before a newline is one grapheme to Swift, and two characters here.
        #expect(try render("{{ 'a\\r\\nb'.split('\\n') | length }}{{ 'a\\r\\nb'[2] == '\\n' }}") == "2True")
    }

    // MARK: - Dates

    @Test func theClockIsTheCallers() throws {
        let source = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}"
        #expect(try render(source) == "26 Jul 2024")
        #expect(try render(source, date: ChatTemplateDate(year: 2024, month: 2, day: 29)) == "29 Feb 2024")
        #expect(failure(of: "{{ strftime_now('%d') }}")?.message == "'strftime_now' is undefined")
    }

    @Test func datesKnowTheirWeekday() throws {
        // 1 January 1900 and 2001 were Mondays, 29 February 2000 a Tuesday, 31 December 2024 a Tuesday.
        let days: [(Int, Int, Int, String)] = [
            (1900, 1, 1, "Monday 001"), (2001, 1, 1, "Monday 001"), (2000, 2, 29, "Tuesday 060"),
            (2024, 12, 31, "Tuesday 366"), (2023, 12, 31, "Sunday 365"), (1, 1, 1, "Monday 001"),
        ]
        for (year, month, day, expected) in days {
            let date = try #require(ChatTemplateDate(year: year, month: month, day: day))
            #expect(try render("{{ strftime_now('%A %j') }}", date: date) == expected)
        }
    }

    @Test func impossibleDatesAreRefused() {
        #expect(ChatTemplateDate(year: 2023, month: 2, day: 29) == nil)
        #expect(ChatTemplateDate(year: 1900, month: 2, day: 29) == nil)
        #expect(ChatTemplateDate(year: 2024, month: 13, day: 1) == nil)
        #expect(ChatTemplateDate(year: 2024, month: 4, day: 31) == nil)
        #expect(ChatTemplateDate(year: 0, month: 1, day: 1) == nil)
        #expect(ChatTemplateDate(year: 2024, month: 1, day: 1, hour: 24) == nil)
        #expect(ChatTemplateDate(year: 2024, month: 1, day: 1, hour: 23, minute: 59, second: 60) == nil)
    }

    // MARK: - Errors

    @Test func refusalsCarryTheTemplatesMessage() {
        let error = failure(of: "a\nb\n{{ raise_exception('Only \"user\" may speak!') }}")
        #expect(error == ChatTemplateError(kind: .raised, line: 3, message: "Only \"user\" may speak!"))
        #expect(
            error?.description
                == "the chat template refused the conversation (line 3): Only \"user\" may speak!")
    }

    @Test(arguments: [
        ("x\n{{ a | nope }}", ChatTemplateError.Kind.syntax, 2, "there is no filter 'nope'"),
        ("x\n\n{% if a is nope(1) %}{% endif %}\n{{ a is nope }}", .syntax, 4, "there is no test 'nope'"),
        ("\n{{ nope() }}", .evaluation, 2, "'nope' is undefined"),
        ("\n\n{{ messages[0].nope.deeper }}", .evaluation, 3, "'dict object' has no attribute 'nope'"),
        ("{% for x in [1] %}\n", .syntax, 1, "the template ends where 'else' or 'endfor' is expected"),
        ("{% include 'x' %}", .syntax, 1, "the tag 'include' is not supported in chat templates"),
        ("\n{% endfor %}", .syntax, 2, "unknown or misplaced tag 'endfor'"),
        ("{{ 1\n+ }}", .syntax, 2, "expected an expression, found '}}'"),
        ("{{ 'a\n }}", .syntax, 1, "a string has no end"), ("\n{# a", .syntax, 2, "a comment has no end"),
        ("{{ 'a' + 1 }}", .evaluation, 1, "'+' is not supported between 'str' and 'int'"),
        ("{{ 1 // 0 }}", .evaluation, 1, "division by zero"),
        ("{% for x in [1] recursive %}{% endfor %}", .syntax, 1, "recursive loops are not supported"),
        ("\n{{ [].append(1) }}", .evaluation, 2, "a template cannot change a list: 'append' is unsafe"),
        ("{{ range(100001) }}", .limit, 1, "range() is limited to 100000 numbers, asked for 100001"),
        ("{% set messages.x = 1 %}", .evaluation, 1, "cannot set an attribute of 'messages', which is no namespace"),
    ])
    func errorsSayWhatIsWrongAndWhere(source: String, kind: ChatTemplateError.Kind, line: Int, message: String) {
        #expect(failure(of: source) == ChatTemplateError(kind: kind, line: line, message: message))
    }

    @Test func oneTemplateServesManyThreads() async throws {
        let template = try ChatTemplate(
            source:
                "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + m.content|int %}{% endfor %}"
                + "{{ ns.n }}")
        await withTaskGroup(of: Bool.self) { group in
            for count in 0..<16 {
                group.addTask {
                    let messages = (0..<count).map { ChatMessage(role: "user", content: String($0)) }
                    let text = try? template.render(messages: messages, addGenerationPrompt: false)
                    return text == String(count * (count - 1) / 2)
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }
}

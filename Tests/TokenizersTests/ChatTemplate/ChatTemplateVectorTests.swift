import Foundation
import OrderedCollections
import OrderedJSON
import Testing
import Tokenizers

/// What transformers and jinja2 rendered, from scripts/make-chat-template-vectors.
private struct ChatTemplateVectors {
    let json: JSON

    static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures")

    init(_ url: URL) throws {
        json = try JSON(parsing: [UInt8](Data(contentsOf: url)))
    }

    static func frozen() throws -> ChatTemplateVectors {
        try ChatTemplateVectors(fixtures.appending(path: "chat-template-vectors.json"))
    }

    static let date = ChatTemplateDate(year: 2025, month: 3, day: 9, hour: 14, minute: 5, second: 7)!

    /// nil if `source` with `variables` renders as expected, else what differs.
    static func difference(
        _ source: String, messages: [JSON], variables: OrderedDictionary<String, JSON>, expected: JSON
    ) -> String? {
        var variables = variables
        let tools = variables.removeValue(forKey: "tools")
        let addGenerationPrompt = variables.removeValue(forKey: "add_generation_prompt")?.boolValue ?? false
        do throws(ChatTemplateError) {
            let text = try ChatTemplate(source: source).render(
                messages: messages, tools: tools, addGenerationPrompt: addGenerationPrompt, date: date,
                variables: variables)
            // Compared byte by byte: Swift's == takes canonically equivalent strings for equal.
            if let expected = expected.stringValue, expected.utf8.elementsEqual(text.utf8) { return nil }
            return "\(source.debugDescription)\n  expected \(expected.text())\n  rendered \(JSON.string(text).text())"
        } catch {
            if let message = expected["raised"] {
                if error.kind == .raised, message.stringValue == error.message { return nil }
            } else if expected["failed"] != nil, error.kind != .raised {
                return nil
            }
            return "\(source.debugDescription)\n  expected \(expected.text())\n  failed   \(error)"
        }
    }
}

@Suite struct ChatTemplateVectorTests {
    @Test func conversationsRenderAsInTransformers() throws {
        let vectors = try ChatTemplateVectors.frozen().json
        let conversations = try #require(vectors["named_conversations"]?.arrayValue)
        let tokens = try #require(vectors["tokens"]?.objectValue)
        let rows = try #require(vectors["conversations"]?.arrayValue)
        #expect(rows.count >= 250)
        for row in rows {
            let template = try #require(row.arrayValue?[0].stringValue)
            let name = try #require(row.arrayValue?[1])
            let source =
                try vectors["model_templates"]?[template]?.stringValue
                ?? String(
                    contentsOf: ChatTemplateVectors.fixtures.appending(path: "chat-templates/\(template).jinja"),
                    encoding: .utf8)
            var variables = try #require(
                conversations.first { $0.arrayValue?[0] == name }?.arrayValue?[1].objectValue)
            variables.merge(tokens) { given, _ in given }
            for (name, value) in variables where name.hasSuffix("_token") && value.isNull { variables[name] = nil }
            let messages = try #require(variables.removeValue(forKey: "messages")?.arrayValue)
            let difference = ChatTemplateVectors.difference(
                source, messages: messages, variables: variables, expected: row.arrayValue![2])
            if let difference { Issue.record("\(template), \(name.text()): \(difference.suffix(3000))") }
        }
    }

    @Test func snippetsRenderAsInJinja() throws {
        try checkSnippets(of: ChatTemplateVectors.frozen().json, atLeast: 1000)
    }

    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["CHAT_TEMPLATE_VECTORS"] != nil,
            "set CHAT_TEMPLATE_VECTORS to a file of random vectors"))
    func randomTemplatesRenderAsInJinja() throws {
        let path = try #require(ProcessInfo.processInfo.environment["CHAT_TEMPLATE_VECTORS"])
        try checkSnippets(of: ChatTemplateVectors(URL(filePath: path)).json, atLeast: 1)
    }

    private func checkSnippets(of vectors: JSON, atLeast minimum: Int) throws {
        let variables = try #require(vectors["variables"]?.objectValue)
        let rows = try #require(vectors["snippets"]?.arrayValue)
        #expect(rows.count >= minimum)
        for row in rows {
            let difference = ChatTemplateVectors.difference(
                try #require(row.arrayValue?[0].stringValue), messages: [], variables: variables,
                expected: row.arrayValue![1])
            if let difference { Issue.record("\(difference)") }
        }
    }
}

import Engine
import Testing

@Suite struct FinishReasonTests {
    @Test func hasOpenAINames() {
        #expect(FinishReason.endToken(2).openAIName == "stop")
        #expect(FinishReason.stopString("END").openAIName == "stop")
        #expect(FinishReason.tokenLimit.openAIName == "length")
        #expect(FinishReason.contextLimit.openAIName == "length")
    }
}

import Testing

@testable import Engine

@Suite struct SamplingParametersTests {
    @Test func acceptTheirEdges() throws {
        _ = try SamplingParameters(temperature: 0, topK: 0, topP: 1, minP: 0)
        _ = try SamplingParameters(
            temperature: .greatestFiniteMagnitude, topK: .max, topP: .leastNonzeroMagnitude, minP: 1,
            repetitionPenalty: 1000, presencePenalty: -2, frequencyPenalty: 2, seed: .max)
        #expect(SamplingParameters.greedy.isGreedy)
    }

    @Test(
        arguments: [
            ("temperature", -0.1), ("temperature", .nan), ("temperature", .infinity),
            ("top_p", 0), ("top_p", 1.0001), ("top_p", -1), ("top_p", .nan),
            ("min_p", -0.001), ("min_p", 1.5), ("min_p", .nan),
            ("repetition_penalty", 0), ("repetition_penalty", -1), ("repetition_penalty", .infinity),
            ("repetition_penalty", .nan), ("presence_penalty", 2.1), ("presence_penalty", .nan),
            ("frequency_penalty", -2.1), ("frequency_penalty", -.infinity), ("top_k", -1),
        ] as [(String, Double)])
    func refuseWhatIsOutOfRange(name: String, value: Double) throws {
        do {
            _ = try SamplingParameters(
                temperature: name == "temperature" ? value : 1, topK: name == "top_k" ? Int(value) : 0,
                topP: name == "top_p" ? value : 1, minP: name == "min_p" ? value : 0,
                repetitionPenalty: name == "repetition_penalty" ? value : 1,
                presencePenalty: name == "presence_penalty" ? value : 0,
                frequencyPenalty: name == "frequency_penalty" ? value : 0)
            Issue.record("\(name) \(value) was accepted")
        } catch {
            #expect(error.parameter.rawValue == name)
            #expect("\(error)".hasPrefix("\(name) must be ") && "\(error)".contains(", but is \(error.found)"))
        }
    }
}

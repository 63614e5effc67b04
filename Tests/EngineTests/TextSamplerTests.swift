import Foundation
import ModelFixtures
import Testing
import Transformer

@testable import Engine

/// Texts that a model writes out of nothing.
@Suite struct TextSamplerTests {
    private let length = 12

    private func texts(
        _ numbers: Range<Int>, by open: OpenModel, as model: LanguageModel? = nil, seed: UInt64 = 7
    ) throws -> [[Int32]] {
        try TextSampler(model ?? open.model, length: length, pool: open.pool).sample(numbers, seed: seed)
    }

    @Test func areTheSameForASeed() throws {
        let open = try OpenModel()
        let texts = try texts(0..<40, by: open)
        #expect(texts.count == 40 && texts.allSatisfy { $0.count == length })
        #expect(Set(texts).count == 40)
        #expect(try self.texts(0..<40, by: open) == texts)
        #expect(try self.texts(0..<40, by: open, seed: 8) != texts)
    }

    /// A batch is what it would be among others.
    @Test func doNotDependOnOtherBatches() throws {
        let open = try OpenModel()
        let batch = TextSampler.batch
        let whole = try texts(0..<2 * batch, by: open)
        #expect(try texts(batch..<2 * batch, by: open) == whole[batch...].map(\.self))
    }

    /// First tokens are drawn from the distribution behind the beginning-of-text token: what they cost on average is
    /// its entropy. Greedy or uniform draws would be far from it.
    @Test func followTheModel() throws {
        let open = try OpenModel()
        let count = 512
        let drawn = try TextSampler(open.model, length: 1, pool: open.pool).sample(0..<count, seed: 9).map { $0[0] }
        let runner = try SequenceRunner(open.model, contextTokens: 4, pool: open.pool)
        try runner.run([Int32(TinyTokenizer.beginningID)])
        let logits = try runner.lastLogits().map(Double.init)
        let sum = logits.reduce(0) { $0 + exp($1) }
        let costs = logits.map { log(sum) - $0 }
        func mean(_ value: (Double) -> Double) -> Double { costs.reduce(0) { $0 + exp(-$1) * value($1) } }
        let entropy = mean { $0 }
        let deviation = (mean { ($0 - entropy) * ($0 - entropy) } / Double(count)).squareRoot()
        let found = drawn.reduce(0) { $0 + costs[Int($1)] } / Double(count)
        #expect(abs(found - entropy) < 4 * deviation)
        let uniform = costs.reduce(0, +) / Double(costs.count)
        #expect(uniform - entropy > 8 * deviation && entropy - costs.min()! > 8 * deviation)
    }

    /// With values of eight bits a model writes nearly the same: most of its texts begin alike.
    @Test func followAModelOfEightBits() throws {
        let open = try OpenModel()
        let rounded = try LanguageModel.open(path: open.folder.path + "/model", packing: .eightBits, pool: open.pool)
        let (exact, close) = try (texts(0..<32, by: open), texts(0..<32, by: open, as: rounded))
        #expect(zip(exact, close).count { $0.prefix(3) == $1.prefix(3) } > 16)
    }
}

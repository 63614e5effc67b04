import Foundation
import TestSupport

@testable import Engine

/// The sampling steps as their definitions say them: sort everything, add everything up, in Double.
enum NaiveSampler {
    /// Probabilities after temperature, top-k, top-p and min-p, `[vocabulary]`. Not for temperature 0.
    static func probabilities(_ logits: [Float], _ parameters: SamplingParameters) -> [Double] {
        var order = logits.indices.sorted { logits[$0] == logits[$1] ? $0 < $1 : logits[$0] > logits[$1] }
        if parameters.topK > 0 { order = Array(order.prefix(parameters.topK)) }
        let maximum = Double(logits[order[0]])
        let weights = order.map { exp((Double(logits[$0]) - maximum) / parameters.temperature) }
        let total = weights.reduce(0, +)
        var kept: [Int: Double] = [:]
        var before = 0.0
        for (token, weight) in zip(order, weights) {
            if parameters.topP < 1 && before >= parameters.topP * total { break }
            if weight >= parameters.minP { kept[token] = weight }
            before += weight
        }
        let keptTotal = kept.values.reduce(0, +)
        return logits.indices.map { (kept[$0] ?? 0) / keptTotal }
    }
}

extension Sampler {
    mutating func sample(_ logits: [Float]) throws(LogitsError) -> Int32 {
        try logits.withUnsafeBufferPointer { (logits) throws(LogitsError) in try sample(logits: logits) }
    }

    func probabilities(_ logits: [Float]) throws(LogitsError) -> [Double] {
        try logits.withUnsafeBufferPointer { (logits) throws(LogitsError) in try probabilities(logits: logits) }
    }
}

/// Roughly normal logits with the given spread, as models have them.
func randomLogits(count: Int, spread: Float, using random: inout SplitMix64) -> [Float] {
    (0..<count).map { _ in
        let sum = (0..<6).reduce(Float(0)) { sum, _ in sum + Float.random(in: -1...1, using: &random) }
        return sum * spread / 1.414
    }
}

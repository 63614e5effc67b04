import Foundation
import ModelFixtures

/// A Llama decoder in double precision, written from the formulas: no cache, no batches, no kernels. Every position is
/// computed anew from all tokens before it.
struct NaiveDecoder {
    private let model: TinyModel
    private let tensors: [String: [Double]]
    private let frequencies: [Double]

    /// - Parameter frequencies: of the rotary embedding, radians per position of each pair; nil for those of RoFormer
    ///   with base 10,000.
    /// - Parameter weights: of those tensors that are not as the model has them.
    init(_ model: TinyModel, frequencies: [Double]? = nil, weights: [String: [Float]] = [:]) {
        self.model = model
        let names = (model.projections + model.others).map(\.name)
        tensors = Dictionary(
            uniqueKeysWithValues: names.map { ($0, (weights[$0] ?? model.elements($0)).map(Double.init)) })
        self.frequencies =
            frequencies
            ?? (0..<model.headSize / 2).map { pow(10_000, -2 * Double($0) / Double(model.headSize)) }
    }

    /// Logits after each of `tokens`: `[tokens, vocabularySize]`.
    func logits(_ tokens: [Int32]) -> [[Double]] {
        let width = model.hiddenSize
        let embedding = tensors["model.embed_tokens.weight"]!
        var hidden = tokens.map { Array(embedding[Int($0) * width..<(Int($0) + 1) * width]) }
        for layer in 0..<model.layerCount {
            func tensor(_ name: String) -> [Double] { tensors["model.layers.\(layer).\(name).weight"]! }
            let normalized = hidden.map { norm($0, tensor("input_layernorm")) }
            let attended = attention(
                queries: normalized.map { product(tensor("self_attn.q_proj"), $0) },
                keys: normalized.map { product(tensor("self_attn.k_proj"), $0) },
                values: normalized.map { product(tensor("self_attn.v_proj"), $0) })
            for token in tokens.indices {
                add(product(tensor("self_attn.o_proj"), attended[token]), to: &hidden[token])
                let input = norm(hidden[token], tensor("post_attention_layernorm"))
                let gate = product(tensor("mlp.gate_proj"), input)
                let up = product(tensor("mlp.up_proj"), input)
                let inner = zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 }
                add(product(tensor("mlp.down_proj"), inner), to: &hidden[token])
            }
        }
        let head = tensors["lm_head.weight"] ?? embedding
        return hidden.map { product(head, norm($0, tensors["model.norm.weight"]!)) }
    }

    /// Softmax attention of every token over itself and those before it, heads behind each other.
    private func attention(queries: [[Double]], keys: [[Double]], values: [[Double]]) -> [[Double]] {
        let size = model.headSize
        let group = model.headCount / model.keyValueHeadCount
        let rotatedQueries = queries.enumerated().map { rotated($1, position: $0) }
        let rotatedKeys = keys.enumerated().map { rotated($1, position: $0) }
        return queries.indices.map { token in
            (0..<model.headCount).flatMap { head -> [Double] in
                let first = head / group * size
                let scores = (0...token).map { other -> Double in
                    let sum = (0..<size).reduce(0.0) {
                        $0 + rotatedQueries[token][head * size + $1] * rotatedKeys[other][first + $1]
                    }
                    return sum / Double(size).squareRoot()
                }
                let largest = scores.max()!
                let weights = scores.map { exp($0 - largest) }
                let total = weights.reduce(0, +)
                return (0..<size).map { place in
                    (0...token).reduce(0.0) { $0 + weights[$1] / total * values[$1][first + place] }
                }
            }
        }
    }

    /// Element i of a head turns with element i + headSize / 2.
    private func rotated(_ heads: [Double], position: Int) -> [Double] {
        let half = model.headSize / 2
        var result = heads
        for start in stride(from: 0, to: heads.count, by: model.headSize) {
            for pair in 0..<half {
                let angle = Double(position) * frequencies[pair]
                let (a, b) = (heads[start + pair], heads[start + half + pair])
                result[start + pair] = a * cos(angle) - b * sin(angle)
                result[start + half + pair] = b * cos(angle) + a * sin(angle)
            }
        }
        return result
    }

    private func norm(_ input: [Double], _ weight: [Double]) -> [Double] {
        let mean = input.reduce(0) { $0 + $1 * $1 } / Double(input.count)
        return zip(input, weight).map { $0 / (mean + 1e-5).squareRoot() * $1 }
    }

    /// A `[rows, columns]` matrix times a vector of `columns`.
    private func product(_ matrix: [Double], _ input: [Double]) -> [Double] {
        matrix.withUnsafeBufferPointer { matrix in
            input.withUnsafeBufferPointer { input in
                (0..<matrix.count / input.count).map { row in
                    var sum = 0.0
                    var index = row * input.count
                    for value in input {
                        sum += matrix[index] * value
                        index += 1
                    }
                    return sum
                }
            }
        }
    }

    private func add(_ addend: [Double], to target: inout [Double]) {
        for index in target.indices { target[index] += addend[index] }
    }
}

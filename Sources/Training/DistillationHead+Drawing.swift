public import LinearAlgebra
import Sparse
import Tensors
import Transformer

extension DistillationHead {
    /// For each token the derivative, by the residual stream behind the last layer, of how surprising a next token is,
    /// `-log(probability)`, that is drawn from the model's own distribution. Such derivatives' mean is nothing, and the
    /// mean of their products is the Fisher information.
    /// - Parameters:
    ///   - stream: `[tokens, hiddenSize]`; `gradient` as well.
    ///   - seed: what decides on the tokens that are drawn.
    public func drawnGradient(_ stream: Matrix, seed: UInt64, into gradient: Matrix) {
        let (scratch, memory) = (makeScratch(), makeLogits())
        forEachChunk(of: stream) { rows in
            let logits = memory.slice(rows: 0..<rows.count)
            computeLogits(stream.slice(rows: rows), scratch, into: logits)
            arithmetic.forEachRow(of: logits) { row in
                draw(logits.row(row), at: Self.uniform(seed, rows.lowerBound + row))
            }
            goBack(logits, stream.slice(rows: rows), scratch, into: gradient.slice(rows: rows))
        }
    }

    /// A token's logits become the derivatives by them: the probabilities, less 1 for the token that is drawn.
    /// - Parameter place: of that token in the sum of all probabilities, 0..<1.
    private func draw(_ logits: UnsafeMutablePointer<Float>, at place: Double) {
        let count = forward.configuration.vocabularySize
        let slopes = cap(logits)
        defer { slopes?.deallocate() }
        arithmetic.kernels.table.softmax(logits, Int64(count), 1)
        var (sum, drawn) = (0.0, 0)
        for index in 0..<count where sum <= place {
            sum += Double(logits[index])
            if logits[index] > 0 { drawn = index }
        }
        logits[drawn] -= 1
        if let slopes {
            for index in 0..<count { logits[index] *= slopes[index] }
        }
    }

    /// A number in 0..<1 for every seed and token.
    private static func uniform(_ seed: UInt64, _ token: Int) -> Double {
        Double(SplitMixStream(seed: 0)[(seed << 32) &+ UInt64(token)] >> 11) / 0x1p53
    }
}

import LinearAlgebra
import Testing

@testable import Pruning

/// A matrix that makes up for what its inputs lost, against the normal equations in double precision.
@Suite struct CompensationTests {
    @Test(arguments: [true, false], [1, 0.5, 0]) func solvesTheNormalEquations(addsToStream: Bool, share: Double) throws
    {
        let (rows, columns, tokens, damping) = (9, 14, 200, InputDrift.damping)
        let pruned = PruningCase(rows: rows, columns: columns, tokens: tokens, seed: 1)
        let dense = PruningCase(rows: rows, columns: columns, tokens: tokens, seed: 2).inputs
        let stream = PruningCase(rows: 1, columns: rows, tokens: tokens, seed: 3).inputs
        let denseStream = PruningCase(rows: 1, columns: rows, tokens: tokens, seed: 4).inputs
        let drift = InputDrift(
            width: columns, streamWidth: addsToStream ? rows : nil, share: share, arithmetic: pruned.arithmetic)
        let statistics = InputStatistics(
            width: columns, kind: .products, arithmetic: pruned.arithmetic, drift: drift)
        for part in [0..<150, 150..<tokens] {
            let input = pruned.inputs.slice(rows: part)
            statistics.add(input)
            drift.add(
                input, dense: dense.slice(rows: part), stream: stream.slice(rows: part),
                denseStream: denseStream.slice(rows: part))
        }
        statistics.finish()
        let weights = pruned.weights.copy()
        try statistics.compensate(weights)

        func sum(_ body: (Int) -> Double) -> Double { (0..<tokens).reduce(0) { $0 + body($1) } }
        let (w, x, y) = (pruned.weights, pruned.inputs, dense)
        let mean =
            (0..<columns).reduce(0.0) { total, i in total + sum { Double(x[$0, i] * x[$0, i]) } } / Double(columns)
        for row in 0..<rows {
            for column in 0..<columns {
                let found = (0..<columns).reduce(0.0) { total, i in
                    let product = sum { Double(x[$0, i]) * Double(x[$0, column]) } + (i == column ? damping * mean : 0)
                    return total + (Double(weights[row, i]) - Double(w[row, i])) * product
                }
                let expected = sum { token in
                    let shift = (0..<columns).reduce(0.0) {
                        $0 + Double(w[row, $1]) * (Double(y[token, $1]) - Double(x[token, $1]))
                    }
                    let lack = addsToStream ? Double(denseStream[token, row]) - Double(stream[token, row]) : 0
                    return share * (shift + lack) * Double(x[token, column])
                }
                #expect(abs(found - expected) <= 1e-2 + 1e-4 * abs(expected), "\(row), \(column)")
            }
        }
    }

    /// Nothing has moved: nothing is made up for, to the last bit.
    @Test func leavesWeightsAloneWithoutDrift() throws {
        let pruned = PruningCase(rows: 5, columns: 8, tokens: 60, seed: 5)
        let drift = InputDrift(width: 8, streamWidth: nil, share: 1, arithmetic: pruned.arithmetic)
        let statistics = InputStatistics(width: 8, kind: .products, arithmetic: pruned.arithmetic, drift: drift)
        statistics.add(pruned.inputs.slice)
        let stream = pruned.inputs.slice
        drift.add(pruned.inputs.slice, dense: pruned.inputs.slice, stream: stream, denseStream: stream)
        statistics.finish()
        let weights = pruned.weights.copy()
        try statistics.compensate(weights)
        #expect(weights.array == pruned.weights.array)
    }
}

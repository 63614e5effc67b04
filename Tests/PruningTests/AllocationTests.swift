import Testing

@testable import Pruning

/// Shares of zeros: their mean, their order, their limits.
@Suite struct AllocationTests {
    private func part(_ weights: Int, _ cost: Double) -> SparsityShares.Part {
        // Weights of evenly spread importance: the squares' sum grows with the cube.
        let curve = SparsityShares.Curve(risingImportances: (1...1000).map { Float($0) })
        return SparsityShares.Part(weightCount: weights, costs: curve.scaled(toBe: cost, at: 0.5))
    }

    private func mean(_ shares: [Double], _ parts: [SparsityShares.Part]) -> Double {
        let weights = parts.reduce(0.0) { $0 + Double($1.weightCount) }
        return zip(shares, parts).reduce(0.0) { $0 + $1.0 * Double($1.1.weightCount) } / weights
    }

    @Test func curvesAreSharesOfSquares() {
        let curve = SparsityShares.Curve(risingImportances: (1...1000).map { Float($0) })
        #expect(curve.costs[0] == 0 && curve.costs[100] == 1)
        for (index, cost) in curve.costs.enumerated() {
            let cube = Double(index * index * index) / 1e6
            #expect(abs(cost - cube) <= 2e-3)
        }
        let scaled = curve.scaled(toBe: 3, at: 0.555)
        #expect(abs((scaled.costs[55] + scaled.costs[56]) / 2 - 3) <= 1e-9)
        #expect(SparsityShares.Curve(risingImportances: [0, 0]).costs.allSatisfy { $0 == 0 })
    }

    @Test(arguments: [0.05, 0.333, 0.5, 0.7, 0.95]) func sharesHaveTheMeanThatIsAskedFor(sparsity: Double) {
        let parts = [part(100, 1), part(300, 1), part(300, 0.1), part(200, 30), part(50, 0)]
        let shares = SparsityShares.least(of: parts, sparsity: sparsity)
        #expect(abs(mean(shares, parts) - sparsity) <= 1e-6, "\(shares)")
        for share in shares { #expect(share >= sparsity - 0.2 - 1e-9 && share <= min(sparsity + 0.2, 0.98) + 1e-9) }
        // What costs less for a weight loses more.
        #expect(shares[4] >= shares[2] && shares[2] >= shares[1] && shares[1] >= shares[3])
        #expect(shares[4] > shares[3])
    }

    /// No other shares on the grid cost less.
    @Test func sharesCostLeast() {
        let parts = [part(100, 1), part(100, 4), part(100, 0.3)]
        func cost(_ shares: [Int]) -> Double { zip(parts, shares).reduce(0) { $0 + $1.0.costs.costs[$1.1] } }
        let found = SparsityShares.least(of: parts, sparsity: 0.5).map { Int(($0 * 100).rounded()) }
        var best = Double.infinity
        for first in 30...70 {
            for second in 30...70 where (30...70).contains(150 - first - second) {
                best = min(best, cost([first, second, 150 - first - second]))
            }
        }
        #expect(found.reduce(0, +) == 150 && cost(found) <= best * (1 + 1e-9))
    }

    @Test func equalPartsHaveEqualShares() {
        let parts = [part(100, 1), part(100, 1)]
        let shares = SparsityShares.least(of: parts, sparsity: 0.6)
        #expect(abs(shares[0] - shares[1]) <= 0.0101)
    }

    @Test func outliersKeepMore() {
        let shares = OutlierAllocation.shares(of: [0.01, 0.03, 0.02], sparsity: 0.7, span: 0.08)
        #expect(abs(shares.reduce(0, +) / 3 - 0.7) <= 1e-12)
        #expect(abs(shares[0] - 0.78) <= 1e-9 && abs(shares[1] - 0.62) <= 1e-9 && abs(shares[2] - 0.7) <= 1e-9)
        #expect(OutlierAllocation.shares(of: [0.01, 0.01], sparsity: 0.7, span: 0.08) == [0.7, 0.7])
        for sparsity in [0.02, 0.97] {
            let shares = OutlierAllocation.shares(of: [0, 1, 1], sparsity: sparsity, span: 0.08)
            #expect(shares.allSatisfy { $0 >= 0 && $0 < 1 })
        }
    }
}

/// Shares of zeros for parts of a model, so that together they cost least.
enum SparsityShares {
    /// Steps of a hundredth.
    static let gridCount = 101

    /// What a part costs at 0 %, 1 %, ... 100 % zeros, rising.
    struct Curve: Equatable {
        let costs: [Double]

        init(costs: [Double]) {
            precondition(costs.count == gridCount)
            self.costs = costs
        }

        /// The share of the squares that the least important weights have together.
        init(risingImportances importances: [Float]) {
            var (sum, sums) = (0.0, [0.0])
            var next = 1
            for (index, importance) in importances.enumerated() {
                sum += Double(importance) * Double(importance)
                while next < gridCount, (index + 1) * (gridCount - 1) >= next * importances.count {
                    sums.append(sum)
                    next += 1
                }
            }
            while sums.count < gridCount { sums.append(sum) }
            costs = sums.map { sum > 0 ? $0 / sum : 0 }
        }

        /// The same curve, with another unit.
        func scaled(toBe cost: Double, at sparsity: Double) -> Curve {
            let place = sparsity * Double(gridCount - 1)
            let below = min(Int(place), gridCount - 2)
            let there = costs[below] + (place - Double(below)) * (costs[below + 1] - costs[below])
            return Curve(costs: costs.map { there > 0 ? $0 * cost / there : 0 })
        }
    }

    struct Part {
        let weightCount: Int
        let costs: Curve
    }

    /// How far a part may be from what is asked for: what is known of its cost was measured there.
    private static let reach = 0.2
    private static let most = 0.98

    /// The shares, whose mean over all weights is `sparsity`.
    ///
    /// The curves are convex, so what costs least for a weight is taken first, a hundredth of a part at a time.
    static func least(of parts: [Part], sparsity: Double) -> [Double] {
        let step = 1 / Double(gridCount - 1)
        let low = max((((sparsity - reach) / step).rounded(.up)) * step, 0)
        let high = min(sparsity + reach, max(most, sparsity))
        var shares = parts.map { _ in low }
        var left = parts.reduce(0.0) { $0 + Double($1.weightCount) } * (sparsity - low)
        while left > 1e-9 {
            var best: (part: Int, cost: Double)?
            for (index, part) in parts.enumerated() where shares[index] + step <= high + 1e-9 {
                let place = Int((shares[index] / step).rounded())
                let cost = (part.costs.costs[place + 1] - part.costs.costs[place]) / Double(part.weightCount)
                if cost < best?.cost ?? .infinity { best = (index, cost) }
            }
            guard let best else { break }
            let taken = min(step * Double(parts[best.part].weightCount), left)
            shares[best.part] += taken / Double(parts[best.part].weightCount)
            left -= taken
        }
        return shares
    }
}

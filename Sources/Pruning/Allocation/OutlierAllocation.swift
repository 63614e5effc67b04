/// Layers with more outliers keep more weights.
///
/// Source: Yin et al., "Outlier Weighed Layerwise Sparsity (OWL)", ICML 2024, arXiv:2310.05175.
struct OutlierAllocation {
    /// An outlier is this many times as important as the layer's weights are on average.
    var threshold: Float = 5
    /// Shares differ from the one asked for by this much at most.
    var span = 0.08

    /// - Returns: for a share of zeros, those of the matrices, of which it is the mean.
    func plans(_ observation: DenseObservation) throws(PruningError) -> (Double) -> SparsityPlan {
        var outliers: [Double] = []
        for (layer, weights) in observation.layers.enumerated() {
            var importances: [Float] = []
            for matrix in weights.projections.indices {
                importances += try observation.importances(layer: layer, matrix: matrix)
            }
            let limit = threshold * importances.reduce(0, +) / Float(importances.count)
            outliers.append(Double(importances.count { $0 > limit }) / Double(importances.count))
        }
        let matrices = observation.layers[0].projections.count
        let span = span
        return { sparsity in
            SparsityPlan(
                sparsities: Self.shares(of: outliers, sparsity: sparsity, span: span).map {
                    Array(repeating: $0, count: matrices)
                })
        }
    }

    /// The most outliers and the fewest lie two spans apart; the mean is `sparsity`.
    static func shares(of outliers: [Double], sparsity: Double, span: Double) -> [Double] {
        let (least, most) = (outliers.min() ?? 0, outliers.max() ?? 0)
        guard most > least else { return outliers.map { _ in sparsity } }
        // Room is needed on both sides.
        let span = min(span, sparsity / 2, (1 - sparsity) / 2)
        let scaled = outliers.map { ($0 - least) / (most - least) * 2 * span }
        let mean = scaled.reduce(0, +) / Double(scaled.count)
        return scaled.map { sparsity - ($0 - mean) }
    }
}

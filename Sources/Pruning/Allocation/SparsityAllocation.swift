import Checkpoints
import LinearAlgebra
import Training
import Transformer

/// How a model's zeros are spread over its matrices.
public enum SparsityAllocation: String, Sendable, CaseIterable {
    /// Every matrix has the same share.
    case uniform
    /// Layers with more weights that matter far more than the others keep more of them.
    case owl
    /// Attention and MLP of every layer are pruned by themselves, to see what the model's answers lose by it.
    case damage
    /// Weights are compared over the whole model by what the Fisher information says of them.
    case fisher

    /// One line for help texts.
    public var summary: String {
        switch self {
        case .uniform: "every matrix the same"
        case .owl: "layers with more outliers keep more weights (OWL)"
        case .damage: "what hurts the model's answers less, measured half a layer at a time, loses more"
        case .fisher: "what the model's answers depend on less, by gradients (Fisher information), loses more: the best"
        }
    }
}

extension SparsityAllocation {
    /// What gives the best models, for who asks for nothing: methods that look at no more than the sizes of inputs are
    /// left as their authors have them, and a pattern's zeros are everywhere alike.
    public static func usual(for method: PruningMethod, _ structure: MaskStructure) -> SparsityAllocation {
        if case .pattern = structure { return .uniform }
        return method.makePruner().needs == .products ? .fisher : .uniform
    }

    /// Tokens that are looked at, and those that damage is measured on.
    private static let observedTokens = 8192
    private static let probedTokens = 1024

    /// - Parameters:
    ///   - sparsity: of the whole model; with a budget, what it takes where all matrices are alike.
    ///   - budget: what decides on the share of zeros, of which other ways to spread them take more or fewer.
    ///   - progress: called with the number of steps done, and of all.
    /// - Throws: `CheckpointError`, `PruningError`.
    func plan(
        _ checkpoint: Checkpoint, configuration: ModelConfiguration, tokens: CalibrationTokens, sparsity: Double,
        budget: SparsityBudget?, arithmetic: Arithmetic, progress: (Int, Int) -> Void
    ) throws -> SparsityPlan {
        func fitting(_ plan: (Double) -> SparsityPlan) throws -> SparsityPlan {
            plan(try budget?.sparsity(plan) ?? sparsity)
        }
        let uniform = SparsityPlan.uniform(
            sparsity, layers: configuration.layerCount, matrices: configuration.family.projections(layer: 0).count)
        if budget == nil && sparsity == 0 { return uniform }
        func observe() throws -> DenseObservation {
            try DenseObservation(
                checkpoint, configuration: configuration, tokens: tokens.prefix(tokens: Self.observedTokens),
                arithmetic: arithmetic)
        }
        switch self {
        case .uniform: return uniform
        case .owl: return try fitting(try OutlierAllocation().plans(try observe()))
        case .damage:
            return try fitting(
                try DamageAllocation(
                    checkpoint: checkpoint, observation: try observe(),
                    probe: Array(tokens.suffix(tokens: Self.probedTokens)), arithmetic: arithmetic
                ).plans(measuredAt: sparsity, progress: progress))
        case .fisher:
            let information = try FisherInformation(
                checkpoint, configuration: configuration, tokens: tokens.prefix(tokens: Self.observedTokens),
                arithmetic: arithmetic, progress: progress)
            return try fitting(
                try FisherAllocation(checkpoint: checkpoint, configuration: configuration, information: information)
                    .plans())
        }
    }
}

/// What is asked of every matrix of a model, layer by layer and within a layer in the order of use.
struct SparsityPlan: Equatable {
    /// The share of zeros.
    let sparsities: [[Double]]
    /// What the weights of each row are multiplied by where they are compared with those of other rows; nil where all
    /// rows count alike.
    let rowScales: [[[Float]]]?

    init(sparsities: [[Double]], rowScales: [[[Float]]]? = nil) {
        self.sparsities = sparsities
        self.rowScales = rowScales
    }

    static func uniform(_ sparsity: Double, layers: Int, matrices: Int) -> SparsityPlan {
        SparsityPlan(sparsities: Array(repeating: Array(repeating: sparsity, count: matrices), count: layers))
    }
}

/// Layers of the dense model with what goes into their matrices, for whoever wants to know before anything is pruned.
/// Holds all layers in float32.
struct DenseObservation {
    let layers: [LayerWeights]
    /// For every layer and matrix, sums of squares of its inputs.
    let inputs: [[InputStatistics]]
    let forward: LayerForward

    /// - Throws: `CheckpointError` if the model cannot be read.
    init(
        _ checkpoint: Checkpoint, configuration: ModelConfiguration, tokens: CalibrationTokens, arithmetic: Arithmetic
    ) throws {
        let observer = try LayerPruner(
            checkpoint, configuration: configuration, tokens: tokens, needs: .squares, compensation: 0,
            arithmetic: arithmetic)
        var layers: [LayerWeights] = []
        var inputs: [[InputStatistics]] = []
        for index in 0..<configuration.layerCount {
            let weights = try LayerWeights(checkpoint, configuration: configuration, layer: index)
            var ofLayer: [InputStatistics] = []
            try observer.run(weights) { matrices, statistics in
                ofLayer += Array(repeating: statistics, count: matrices.count)
            }
            layers.append(weights)
            inputs.append(ofLayer)
        }
        self.layers = layers
        self.inputs = inputs
        forward = observer.stream.forward
    }

    /// What Wanda calls a weight's importance, its magnitude times its input's norm, of some rows of a matrix, in
    /// rising order.
    func importances(layer: Int, matrix: Int) throws(PruningError) -> [Float] {
        layers[layer].projections[matrix].risingImportances(
            columns: try inputs[layer][matrix].finiteSquares().map { Float($0.squareRoot()) })
    }
}

extension Matrix {
    /// Of a matrix whose importances are looked at; whole rows of it.
    private static let sampledWeights = 1 << 16

    /// The magnitudes of the weights of some rows, times a factor for each column and row, in rising order.
    func risingImportances(columns factors: [Float], rows rowFactors: [Float]? = nil) -> [Float] {
        let weights = slice
        let step = max(rows * columns / Self.sampledWeights, 1)
        var result: [Float] = []
        for row in stride(from: 0, to: rows, by: step) {
            let rowFactor = rowFactors?[row] ?? 1
            for column in 0..<columns {
                result.append(weights.row(row)[column].magnitude * factors[column] * rowFactor)
            }
        }
        return result.sorted()
    }
}

import Checkpoints
import LinearAlgebra
import Sparse
import Tensors
import Training
import Transformer

extension ModelPruner {
    /// Trains pruned layers; they become what is stored of that.
    func recover(
        _ layers: inout [PrunedLayer], by recovery: Recovery, work: WorkFolder,
        progress: (RecoveryProgress) throws -> Void
    ) throws -> RecoveryReport {
        let weights = try layers.enumerated().map { index, layer in
            let weights = try LayerWeights(checkpoint, configuration: configuration, layer: index)
            for (entry, matrix) in zip(layer.entries, weights.projections) { try entry.restore(matrix) }
            return weights
        }
        let trainingWork = WorkFolder(for: work.output, fingerprint: "\(fingerprint) \(recovery.fingerprint)")
        let report = try recovery.run(weights, work: trainingWork, progress: progress)
        for (index, layer) in layers.enumerated() {
            layers[index].entries = try zip(layer.entries, weights[index].projections).map { entry, matrix in
                try entry.replaced(by: matrix, in: checkpoint, values: nil)
            }
        }
        return report
    }

    /// Rounds layers that a recovery has trained, one after the other, with what the rounded ones before them give.
    /// Takes minutes, and begins anew after an interruption.
    func round(
        _ layers: inout [PrunedLayer], to values: ValueGrid, progress: (Progress) -> Void
    ) throws {
        guard let calibration else { preconditionFailure("values of few bits need tokens") }
        let layerPruner = try LayerPruner(
            checkpoint, configuration: configuration, tokens: calibration, needs: .products, compensation: compensation,
            arithmetic: arithmetic)
        let count = layers.reduce(0) { $0 + $1.entries.count }
        var done = 0
        for index in layers.indices {
            let weights = try LayerWeights(checkpoint, configuration: configuration, layer: index)
            for (entry, matrix) in zip(layers[index].entries, weights.projections) { try entry.restore(matrix) }
            try layerPruner.run(weights) { places, inputs in
                for place in places {
                    let matrix = weights.projections[place]
                    // Making up for the matrices before moves zeros, too.
                    let kept = matrix.elements.map { $0 != 0 }
                    try inputs.compensate(matrix)
                    try ValueRounding(values).round(matrix, keeping: kept, inputs: inputs, arithmetic: arithmetic)
                    let entry = try layers[index].entries[place].replaced(by: matrix, in: checkpoint, values: values)
                    try entry.restore(matrix)
                    layers[index].entries[place] = entry
                    done += 1
                    progress(.rounding(done: done, count: count))
                }
            }
        }
    }
}

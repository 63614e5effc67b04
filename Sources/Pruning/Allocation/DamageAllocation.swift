import Checkpoints
import LinearAlgebra
import Training
import Transformer

/// Zeros go where the model's answers lose least by them.
///
/// Attention and MLP of every layer are pruned by themselves (as Wanda does) at the sparsity that is asked for, and the
/// divergence of the model's distributions from the dense ones' is measured behind all layers. At other sparsities it
/// is taken to grow with the squares of the importances that are lost; what all of it does, to be the sum.
struct DamageAllocation {
    let checkpoint: Checkpoint
    let observation: DenseObservation
    /// Sequences that the divergence is measured on.
    let probe: [[Int32]]
    let arithmetic: Arithmetic

    /// Matrices of a layer that are pruned together: query to output projection, the MLP's.
    private var blocks: [Range<Int>] { [0..<4, 4..<observation.layers[0].projections.count] }

    /// Plans for shares of zeros near the one that damage is measured at.
    /// - Parameter progress: called with the number of blocks done and of all.
    /// - Throws: `CheckpointError`, `PruningError`.
    func plans(
        measuredAt sparsity: Double, progress: (Int, Int) -> Void
    ) throws -> (Double) -> SparsityPlan {
        let layers = observation.layers
        let (curves, damages) = (try curves(), try damages(sparsity: sparsity, progress: progress))
        let parts = zip(curves, damages).enumerated().map { index, measured in
            let matrices = blocks[index % blocks.count]
            let (curve, damage) = measured
            return SparsityShares.Part(
                weightCount: layers[index / blocks.count].projections[matrices].reduce(0) {
                    $0 + $1.rows * $1.columns
                },
                costs: curve.scaled(toBe: max(damage, 0), at: sparsity))
        }
        return { sparsity in
            let shares = SparsityShares.least(of: parts, sparsity: sparsity)
            return SparsityPlan(
                sparsities: layers.indices.map { layer in
                    blocks.enumerated().flatMap { index, matrices in
                        matrices.map { _ in shares[layer * blocks.count + index] }
                    }
                })
        }
    }

    /// For every block, the share of its importances' squares that is lost at each sparsity of the grid.
    private func curves() throws(PruningError) -> [SparsityShares.Curve] {
        var curves: [SparsityShares.Curve] = []
        for layer in observation.layers.indices {
            for block in blocks {
                var sums = [Double](repeating: 0, count: SparsityShares.gridCount)
                for matrix in block {
                    let curve = SparsityShares.Curve(
                        risingImportances: try observation.importances(layer: layer, matrix: matrix))
                    for index in sums.indices { sums[index] += curve.costs[index] / Double(block.count) }
                }
                curves.append(SparsityShares.Curve(costs: sums))
            }
        }
        return curves
    }

    /// For every block, the divergence that pruning it alone makes.
    private func damages(sparsity: Double, progress: (Int, Int) -> Void) throws -> [Double] {
        let (layers, forward) = (observation.layers, observation.forward)
        let head = try DistillationHead(checkpoint, forward: forward)
        let start = try checkpoint.embeddings(
            of: probe, configuration: forward.configuration, arithmetic: arithmetic)
        let stream = LayerStream(forward: forward, hidden: start.copy())
        var dense = [start]
        for weights in layers {
            stream.run(weights)
            dense.append(stream.hidden.copy())
        }
        var damages: [Double] = []
        for (layer, weights) in layers.enumerated() {
            for block in blocks {
                let pruned = weights.copy()
                for matrix in block {
                    try WandaPruner().prune(
                        pruned.projections[matrix], inputs: observation.inputs[layer][matrix],
                        target: PruningTarget(sparsity: sparsity), arithmetic: arithmetic)
                }
                arithmetic.copy(dense[layer].slice, into: stream.hidden.slice)
                stream.run(pruned)
                for later in layers[(layer + 1)...] { stream.run(later) }
                damages.append(head.loss(student: stream.hidden, teacher: dense[layers.count]))
                progress(damages.count, layers.count * blocks.count)
            }
        }
        return damages
    }
}

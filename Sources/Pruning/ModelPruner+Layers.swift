import Checkpoints
import LinearAlgebra
import Sparse
import Tensors
import Training
import Transformer

extension ModelPruner {
    /// Prunes all layers, or takes those up that an earlier run finished.
    func pruneLayers(_ work: WorkFolder, progress: (Progress) -> Void) throws -> [PrunedLayer] {
        guard let calibration else { return try pruneLayersAlone(progress: progress) }
        let pruner = method.makePruner()
        let plan = try allocation.plan(
            checkpoint, configuration: configuration, tokens: calibration, sparsity: target.sparsity,
            budget: budget, arithmetic: arithmetic
        ) { progress(.allocation(done: $0, count: $1)) }
        let layerPruner = try LayerPruner(
            checkpoint, configuration: configuration, tokens: calibration,
            needs: valuesAtOnce == nil ? pruner.needs : .products,
            compensation: order == .matrix ? compensation : 0, arithmetic: arithmetic)
        let count = configuration.layerCount * configuration.family.projections(layer: 0).count
        var layers: [PrunedLayer] = []
        var done = 0
        for index in 0..<configuration.layerCount {
            let names = configuration.family.projections(layer: index)
            let weights = try LayerWeights(checkpoint, configuration: configuration, layer: index)
            progress(.pruning(done: done, count: count))
            if let finished = try work.layer(index, names: names) {
                for (entry, matrix) in zip(finished.entries, weights.projections) { try entry.restore(matrix) }
                try layerPruner.run(weights) {
                    try LayerWeights(checkpoint, configuration: configuration, layer: index)
                }
                layers.append(finished)
                done += names.count
                continue
            }
            var layer = PrunedLayer()
            func stage(_ matrices: [Int], _ inputs: InputStatistics) throws {
                for place in matrices {
                    layer.entries.append(
                        try prune(
                            weights.projections[place], name: names[place], by: pruner, inputs: inputs,
                            target: PruningTarget(
                                sparsity: plan.sparsities[index][place], structure: target.structure),
                            rowScales: plan.rowScales?[index][place]))
                    done += 1
                    progress(.pruning(done: done, count: count))
                }
            }
            switch order {
            case .matrix: try layerPruner.run(weights, stage: stage)
            case .layer: try layerPruner.runAtOnce(weights, stage: stage)
            }
            try work.store(layer, index)
            // From its file, so that memory stays that of one layer.
            layers.append(try work.layer(index, names: names) ?? layer)
            for name in names { checkpoint.release(name) }
        }
        return layers
    }

    /// The same for a method that looks at no inputs.
    private func pruneLayersAlone(progress: (Progress) -> Void) throws -> [PrunedLayer] {
        let projections = DecoderLayout(configuration).projections
        var layers = Array(repeating: PrunedLayer(), count: configuration.layerCount)
        for (index, projection) in projections.enumerated() {
            layers[projection.layer].entries.append(try pruneAlone(projection))
            progress(.pruning(done: index + 1, count: projections.count))
        }
        return layers
    }

    /// Prunes one matrix and rounds it to what is stored, so that what follows is fitted to that.
    private func prune(
        _ weights: Matrix, name: String, by pruner: any Pruner, inputs: InputStatistics?, target: PruningTarget,
        rowScales: [Float]? = nil
    ) throws -> PrunedLayer.Entry {
        let start = ContinuousClock.now
        // Asked for no zeros, a pruned model keeps its own.
        let kept = valuesAtOnce != nil && target.sparsity == 0 ? weights.elements.map { $0 != 0 } : nil
        try inputs?.compensate(weights)
        let before = inputs?.products == nil ? nil : weights.copy()
        // Methods compare weights by what they do to the output's square: a row that counts more is a larger row.
        if let rowScales { scale(weights, by: rowScales) }
        try pruner.prune(weights, inputs: inputs, target: target, arithmetic: arithmetic)
        if let rowScales { scale(weights, by: rowScales.map { 1 / $0 }) }
        if let valuesAtOnce, let inputs {
            try ValueRounding(valuesAtOnce).round(weights, keeping: kept, inputs: inputs, arithmetic: arithmetic)
        }
        let type = weights.storedType(of: name, in: checkpoint, values: valuesAtOnce)
        let bytes = try weights.narrowed(to: type, name: name, path: checkpoint.path)
        let entry = PrunedLayer.Entry(
            report: MatrixReport(
                name: name, elementCount: weights.rows * weights.columns, zeroCount: bytes.zeroCount(type),
                error: before.flatMap { inputs?.relativeError(of: weights, from: $0) },
                seconds: (ContinuousClock.now - start) / .seconds(1)),
            type: type, shape: [weights.rows, weights.columns], bytes: bytes)
        try entry.restore(weights)
        return entry
    }

    private func scale(_ weights: Matrix, by factors: [Float]) {
        let slice = weights.slice
        arithmetic.forEachRow(of: slice) { row in
            let (values, factor) = (slice.row(row), factors[row])
            for column in 0..<slice.columns { values[column] *= factor }
        }
    }

    /// Prunes a matrix without looking at inputs.
    func pruneAlone(_ projection: DecoderLayout.Projection) throws -> PrunedLayer.Entry {
        let weights = try Matrix(
            reading: projection.name, rows: projection.rows, columns: projection.columns, from: checkpoint)
        return try prune(weights, name: projection.name, by: method.makePruner(), inputs: nil, target: target)
    }
}

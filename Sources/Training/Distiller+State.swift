public import Checkpoints
import LinearAlgebra
import Tensors

/// A training that is interrupted goes on from a file: the weights that are not zero, and Adam's averages of these.
extension Distiller {
    private func matrices() -> [(name: String, mask: Matrix, matrix: Matrix)] {
        var result: [(String, Matrix, Matrix)] = []
        for (index, layer) in layers.enumerated() {
            for place in layer.projections.indices {
                let (state, weights) = (states[index][place], trained(index, place))
                // Weights last: they are the mask of the others.
                result.append(("\(index).\(place).first", weights, state.first))
                result.append(("\(index).\(place).second", weights, state.second))
                result.append(("\(index).\(place).weights", weights, weights))
            }
        }
        return result
    }

    /// Writes all that later steps depend on to a file that appears only when it is whole.
    /// - Parameters:
    ///   - fingerprint: which training this is.
    ///   - notes: what ``readState(path:fingerprint:)`` gives back.
    public func writeState(path: String, fingerprint: String, notes: String) throws(CheckpointError) {
        let matrices = matrices()
        let writer = try SafetensorsWriter(
            path: path, names: matrices.map(\.name),
            metadata: ["fingerprint": fingerprint, "step": String(steps), "notes": notes])
        var kept: [Float] = []
        for (name, mask, matrix) in matrices {
            kept.removeAll(keepingCapacity: true)
            withExtendedLifetime((mask, matrix)) {
                let (mask, elements) = (mask.elements, matrix.elements)
                for index in mask.indices where mask[index] != 0 { kept.append(elements[index]) }
            }
            try writer.begin(name, type: .f32)
            let written: Result<Void, CheckpointError> = kept.withUnsafeBytes { bytes in
                Result { () throws(CheckpointError) in try writer.write(bytes) }
            }
            try written.get()
            try writer.end(shape: [kept.count])
        }
        try writer.finish()
    }

    /// Reads what ``writeState(path:fingerprint:notes:)`` wrote.
    /// - Returns: the notes; nil if the file is of another training.
    /// - Throws: `CheckpointError` if the file cannot be read, or does not have this student's zeros; then the student
    ///   is of no use any more.
    public func readState(path: String, fingerprint: String) throws(CheckpointError) -> String? {
        let file = try SafetensorsFile(path: path)
        guard file.metadata["fingerprint"] == fingerprint else { return nil }
        func damaged(_ subject: String, expected: String, found: String) -> CheckpointError {
            CheckpointError(.damaged, path: path, subject: subject, expected: expected, found: found)
        }
        guard let step = file.metadata["step"].flatMap({ Int($0) }), step >= 0 else {
            throw damaged("the number of steps", expected: "a number", found: file.metadata["step"] ?? "none")
        }
        for (name, mask, matrix) in matrices() {
            let count = withExtendedLifetime(mask) { mask.elements.count { $0 != 0 } }
            guard let tensor = file.tensors[name], tensor.shape == [count],
                let kept = file.bytes(of: tensor).reinterpreted(as: Float.self)
            else {
                throw damaged(
                    "tensor \"\(name)\"", expected: "\(count) weights",
                    found: "shape \(file.tensors[name]?.shape ?? [])")
            }
            let isWhole = withExtendedLifetime((mask, matrix, kept)) {
                let (mask, elements, kept) = (mask.elements, matrix.elements, kept.buffer)
                var next = 0
                for index in mask.indices where mask[index] != 0 {
                    elements[index] = kept[next]
                    next += 1
                    // A zero would be none of the kept ones any more.
                    if !elements[index].isFinite || mask[index] == 0 { return false }
                }
                return true
            }
            guard isWhole else {
                throw damaged("tensor \"\(name)\"", expected: "finite weights, none of them zero", found: "others")
            }
        }
        layers.indices.forEach(round)
        steps = step
        return file.metadata["notes"] ?? ""
    }
}

import Checkpoints
import Training

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What a run that is not finished has done so far, beside the folder that it will write: finished layers, and the
/// state of a training. Whoever interrupts a run loses one layer, or a minute.
struct WorkFolder {
    /// The folder that the run will write.
    let output: String
    let path: String
    private let fingerprint: String

    /// - Parameters:
    ///   - output: the folder that it will write.
    ///   - fingerprint: what the run does; layers of another one are not taken.
    init(for output: String, fingerprint: String) {
        var output = output
        while output.count > 1 && output.hasSuffix("/") { output.removeLast() }
        self.output = output
        path = output + ".unfinished"
        self.fingerprint = fingerprint
    }

    private func file(_ layer: Int) -> String { "\(path)/layer-\(layer).safetensors" }

    /// - Returns: nil if the layer is not finished.
    /// - Throws: `CheckpointError` if the folder belongs to another run.
    func layer(_ index: Int, names: [String]) throws(CheckpointError) -> PrunedLayer? {
        guard access(file(index), F_OK) == 0 else { return nil }
        guard let layer = try PrunedLayer(path: file(index), fingerprint: fingerprint, names: names) else {
            throw anotherRun
        }
        return layer
    }

    private var anotherRun: CheckpointError {
        CheckpointError(
            .conflict, path: path, subject: "the unfinished run", expected: "one with the same settings",
            found: "another one; remove the folder, or finish that run by its own command")
    }

    func store(_ layer: PrunedLayer, _ index: Int) throws(CheckpointError) {
        mkdir(path, 0o777)  // if that fails, writing into it says why
        try layer.write(to: file(index), fingerprint: fingerprint)
    }

    /// A training's last state, or the best one.
    private func state(isBest: Bool) -> String { "\(path)/\(isBest ? "best" : "last")-step.safetensors" }

    /// - Returns: the notes that were written with it; nil if there is none.
    /// - Throws: `CheckpointError` if the folder belongs to another run, or the state is damaged.
    @discardableResult
    func readState(of distiller: Distiller, isBest: Bool) throws(CheckpointError) -> String? {
        let file = state(isBest: isBest)
        guard access(file, F_OK) == 0 else { return nil }
        guard let notes = try distiller.readState(path: file, fingerprint: fingerprint) else { throw anotherRun }
        return notes
    }

    /// - Parameter isBest: also keep it as the best one, until there is another.
    func writeState(of distiller: Distiller, notes: String, isBest: Bool) throws(CheckpointError) {
        mkdir(path, 0o777)
        let (last, best) = (state(isBest: false), state(isBest: true))
        try distiller.writeState(path: last, fingerprint: fingerprint, notes: notes)
        guard isBest else { return }
        // Another name for the same file: the next state will be another file. Where that is not possible, a copy.
        let next = best + ".next"
        unlink(next)
        if link(last, next) != 0 || rename(next, best) != 0 {
            try distiller.writeState(path: best, fingerprint: fingerprint, notes: notes)
        }
    }

    func remove(layerCount: Int) {
        for layer in 0..<layerCount { unlink(file(layer)) }
        for isBest in [false, true] { unlink(state(isBest: isBest)) }
        unlink(state(isBest: true) + ".next")
        rmdir(path)
    }
}

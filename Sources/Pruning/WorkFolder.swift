import Checkpoints

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The finished layers of a run that is not finished, beside the folder that it will write: whoever interrupts a run
/// loses one layer.
struct WorkFolder {
    let path: String
    private let fingerprint: String

    /// - Parameters:
    ///   - output: the folder that the run will write.
    ///   - fingerprint: what the run does; layers of another one are not taken.
    init(for output: String, fingerprint: String) {
        var output = output
        while output.count > 1 && output.hasSuffix("/") { output.removeLast() }
        path = output + ".unfinished"
        self.fingerprint = fingerprint
    }

    private func file(_ layer: Int) -> String { "\(path)/layer-\(layer).safetensors" }

    /// - Returns: nil if the layer is not finished.
    /// - Throws: `CheckpointError` if the folder belongs to another run.
    func layer(_ index: Int, names: [String]) throws(CheckpointError) -> PrunedLayer? {
        guard access(file(index), F_OK) == 0 else { return nil }
        guard let layer = try PrunedLayer(path: file(index), fingerprint: fingerprint, names: names) else {
            throw CheckpointError(
                .conflict, path: path, subject: "the unfinished run", expected: "one with the same settings",
                found: "another one; remove the folder, or finish that run by its own command")
        }
        return layer
    }

    func store(_ layer: PrunedLayer, _ index: Int) throws(CheckpointError) {
        mkdir(path, 0o777)  // if that fails, writing into it says why
        try layer.write(to: file(index), fingerprint: fingerprint)
    }

    func remove(layerCount: Int) {
        for layer in 0..<layerCount { unlink(file(layer)) }
        rmdir(path)
    }
}

import OrderedCollections
import OrderedJSON
public import Tensors

/// Writes a model, packed or not, as a GGUF file that llama.cpp opens. Tensors are read one after the other, in memory
/// for one.
public struct GGUFExporter {
    /// What matrices are stored as; vectors are always f32, which ggml wants.
    public enum MatrixType: String, Sendable, CaseIterable {
        case f16, bf16, f32, q8_0
    }

    /// What was written.
    public struct Report: Sendable {
        public let tensorCount: Int
        public let elementCount: Int
        public let byteCount: Int
    }

    /// Where the file goes, and what its writing does besides.
    public struct Destination {
        public var path: String
        /// Whether an existing file may be replaced.
        public var overwriting: Bool
        /// Called with the number of tensors done and in all.
        public var progress: (Int, Int) -> Void
        /// Called with the path under which the file is being written, so that a program that is interrupted can
        /// remove it.
        public var started: (String) -> Void

        public init(
            path: String, overwriting: Bool, progress: @escaping (Int, Int) -> Void = { _, _ in },
            started: @escaping (String) -> Void = { _ in }
        ) {
            self.path = path
            self.overwriting = overwriting
            self.progress = progress
            self.started = started
        }
    }

    /// A tensor to write.
    struct Item {
        enum Source {
            /// The model's, by its name there.
            case tensor(String)
            /// Numbers that configurations say, and GGUF files hold as tensors.
            case numbers([Float])
        }

        let source: Source
        let tensor: GGUFWriter.Tensor
        var interleavedHeadSize: Int? = nil
        /// What is added to its elements, which are f32 then.
        var offset: Float = 0
    }

    let weights: PlainWeights
    let architecture: GGUFArchitecture
    let configuration: JSON

    /// - Throws: `CheckpointError` if the model's family has no GGUF names here.
    public init(_ checkpoint: Checkpoint, pool: WorkerPool) throws(CheckpointError) {
        // Where Hugging Face's files have a matrix's rows as columns, GGUF's have them as rows.
        weights = try PlainWeights(checkpoint, turning: false, pool: pool)
        configuration = checkpoint.configuration
        guard let architecture = GGUFArchitecture.describing(configuration) else {
            let known = GGUFArchitecture.all.flatMap(\.modelTypes).joined(separator: " or ")
            throw CheckpointError(
                .unsupported, path: checkpoint.path, subject: "the model's type", expected: "\(known) for a GGUF file",
                found: configuration["model_type"]?.stringValue?.quoted ?? "none")
        }
        self.architecture = architecture
    }

    /// Writes the file.
    /// - Parameters:
    ///   - name: of the model, for people.
    ///   - type: of the matrices; nil for ``PlainWeights/plainType(of:)``. Matrices whose rows are no whole blocks of
    ///     q8_0 become f16.
    ///   - tokenizer: with a token for every row of the embedding table.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity, and for what llama.cpp's decoder of the architecture
    ///   does not do; then nothing is left behind.
    public func write(
        to destination: Destination, name: String, type: MatrixType?, tokenizer: GGUFTokenizer, traits: GGUFTraits
    ) throws(CheckpointError) -> Report {
        try checkTarget(destination)
        try check(traits)
        let items = try items(type: type, traits: traits)
        var metadata = GGUFMetadataWriter()
        metadata.add("general.architecture", architecture.name)
        metadata.add("general.type", "model")
        metadata.add("general.name", name)
        // The number by which ggml calls what most matrices are.
        metadata.add("general.file_type", fileType(of: items))
        if items.contains(where: { $0.tensor.type == .Q8_0 }) {
            metadata.add("general.quantization_version", UInt32(2))
        }
        add(traits, to: &metadata)
        add(tokenizer, to: &metadata)
        let writer = try GGUFWriter(
            path: destination.path, metadata: metadata, tensors: items.map(\.tensor), started: destination.started)
        var elementCount = 0
        for (index, item) in items.enumerated() {
            switch item.source {
            case .numbers(let numbers): try writer.append(item.tensor.name, Storage(numbers).bytes)
            case .tensor(let source):
                try writer.append(item.tensor.name, try bytes(of: item, source))
                elementCount += item.tensor.shape.reduce(1, *)
                weights.release(source)
            }
            destination.progress(index + 1, items.count)
        }
        try writer.finish()
        return Report(tensorCount: items.count, elementCount: elementCount, byteCount: writer.byteCount)
    }

    /// Removes a file that is being written, after an interruption; to be called with what ``Destination/started`` got.
    public static func remove(unfinished path: String) { FileSystem.remove(path) }

    private func checkTarget(_ destination: Destination) throws(CheckpointError) {
        let path = FileSystem.resolved(destination.path)
        func conflict(_ expected: String, _ found: String) -> CheckpointError {
            CheckpointError(.conflict, path: path, subject: "the output file", expected: expected, found: found)
        }
        let kept = [weights.checkpoint.path] + Set(weights.checkpoint.tensors.map(\.path))
        for kept in kept.map(FileSystem.resolved) where FileSystem.contains(kept, path) {
            throw conflict(
                "a place apart from the model that is read", path == kept ? "the same place" : "one inside the other")
        }
        guard FileSystem.exists(path) else { return }
        guard try FileSystem.kind(of: path) == .file else { throw conflict("a new file", "a folder") }
        guard destination.overwriting else {
            throw conflict("a new file unless overwriting is asked for", "one that is there")
        }
    }

    private func fileType(of items: [Item]) -> UInt32 {
        switch items.first(where: { $0.tensor.shape.count == 2 && $0.tensor.name.hasPrefix("blk.") })?.tensor.type {
        case .F16: 1
        case .Q8_0: 7
        case .BF16: 32
        default: 0
        }
    }
}

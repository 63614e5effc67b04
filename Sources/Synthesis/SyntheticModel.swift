public import Checkpoints
import OrderedJSON
public import Tensors
import Tokenizers
import Transformer

/// A Llama of a known shape with random weights: for measuring speed and memory, which do not ask what weights mean.
///
/// The same values give the same bytes on every machine and any number of threads.
public struct SyntheticModel: Sendable {
    public let shape: SyntheticShape
    /// f16 or bf16.
    public let type: WeightType
    /// Share of zeros in the projections of the layers, 0..<1: as magnitude pruning would leave it.
    public let sparsity: Double
    public let seed: UInt64
    private let layout: DecoderLayout

    public init(shape: SyntheticShape, type: WeightType, sparsity: Double, seed: UInt64) throws {
        precondition(type != .f32 && sparsity >= 0 && sparsity < 1)
        self.shape = shape
        self.type = type
        self.sparsity = sparsity
        self.seed = seed
        layout = DecoderLayout(try ModelConfiguration(shape.configuration))
    }

    public var parameterCount: Int { layout.parameterCount }

    /// Bytes of all weights.
    public var byteCount: Int { parameterCount * type.byteCount }

    /// Writes the model as a Hugging Face folder, tensor by tensor, in memory for the largest.
    /// - Throws: `CheckpointError` if the folder is taken, the disk lacks room, or the system refuses; then nothing is
    ///   left behind.
    public func write(to destination: ModelRewriter.Destination, pool: WorkerPool) throws {
        var tensors: [(name: String, shape: [Int], sparsity: Double)] = []
        for tensor in layout.others { tensors.append((tensor.name, tensor.shape, 0)) }
        for projection in layout.projections {
            tensors.append((projection.name, [projection.rows, projection.columns], sparsity))
        }
        let writer = try ModelFolderWriter(
            path: destination.path, overwriting: destination.overwriting, keeping: [], names: tensors.map(\.name),
            started: destination.started)
        defer { writer.folder.abandon() }
        try writer.folder.requireSpace(byteCount: byteCount)
        var tables: [TableKey: NormalWeights] = [:]
        for (index, tensor) in tensors.enumerated() {
            let elements = AlignedBuffer<UInt16>(uninitializedCount: tensor.shape.reduce(1, *))
            if tensor.shape.count == 1 {
                elements.elements.initialize(repeating: one)
            } else {
                // Every output gets the size of the inputs: 1 / sqrt(columns).
                let key = TableKey(columns: tensor.shape[1], sparsity: tensor.sparsity)
                let weights =
                    tables[key]
                    ?? NormalWeights(
                        standardDeviation: 1 / Double(key.columns).squareRoot(), sparsity: key.sparsity, type: type)
                tables[key] = weights
                weights.fill(
                    elements.elements, stream: NormalWeights.stream(seed: seed, tensor: index), pool: pool)
            }
            try writer.append(
                tensor.name, type: type.elementType, shape: tensor.shape, bytes: elements.frozen().bytes)
            destination.progress(index + 1, tensors.count)
        }
        try destination.companions(writer.folder)
        try writeTokenizer(to: writer.folder)
        try writer.finish(configuration: configuration)
    }

    private struct TableKey: Hashable {
        let columns: Int
        let sparsity: Double
    }

    private var one: UInt16 { type == .bf16 ? 0x3F80 : 0x3C00 }

    private func writeTokenizer(to folder: FolderWriter) throws {
        let files = try HuggingFaceTokenizerFiles(try .synthetic(tokenCount: shape.vocabularySize))
        try folder.write(files.tokenizer.text() + "\n", to: "tokenizer.json")
        try folder.write(files.configuration.text(pretty: true) + "\n", to: "tokenizer_config.json")
    }

    /// The shape's `config.json` with the stored type and where the weights come from.
    private var configuration: JSON {
        var members = shape.configuration.objectValue ?? [:]
        members["torch_dtype"] = .string(type == .bf16 ? "bfloat16" : "float16")
        members["synthetic"] = [
            "parameters": .string(shape.name), "seed": .string("\(seed)"), "sparsity": .number(sparsity),
        ]
        return .object(members)
    }
}

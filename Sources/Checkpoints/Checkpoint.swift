import OrderedCollections
public import OrderedJSON
public import Tensors

/// The weights of a model with what describes them, whatever the files: a GGUF file or a Hugging Face folder.
///
/// Names, shapes, configuration and order of rows are always Hugging Face's. Opening maps the files and checks their
/// headers; weights are read from disk when they are asked for. A checkpoint may be used from several threads.
public struct Checkpoint: Sendable {
    /// The GGUF file or the folder.
    public let path: String
    /// Shaped like Hugging Face's `config.json`; made from the metadata of a GGUF file.
    public let configuration: JSON
    private let contents: OrderedDictionary<String, StoredTensor>
    private let source: Source

    private enum Source: Sendable {
        case gguf(GGUFFile)
        case folder(ModelFolder)
    }

    /// Opens a `.gguf` file, a Hugging Face folder, or a folder that holds exactly one `.gguf` file.
    /// - Throws: `CheckpointError` if nothing of these is at `path`, or a file is damaged or unsupported.
    /// - Complexity: O(bytes of headers and configuration).
    public static func open(path: String) throws(CheckpointError) -> Checkpoint {
        let path = FileSystem.withoutTrailingSlashes(path)
        switch try FileSystem.kind(of: path) {
        case .folder:
            switch try ModelFolder.contents(of: path) {
            case .safetensors(let shards): return try Checkpoint(ModelFolder(path: path, shards))
            case .gguf(let name): return try Checkpoint(GGUFFile(path: path + "/" + name))
            }
        case .file: return try Checkpoint(GGUFFile(path: path))
        }
    }

    /// The tensors of `file` under Hugging Face's names.
    public init(_ file: GGUFFile) throws(CheckpointError) {
        let model = try GGUFModel(file)
        path = file.path
        configuration = model.configuration
        contents = try model.storedTensors()
        source = .gguf(file)
    }

    public init(_ folder: ModelFolder) throws(CheckpointError) {
        path = folder.path
        let compression = try CompressionConfiguration(folder.configuration, folder: folder.path)
        let whole = compression.plainConfiguration
        configuration = TextPart.configuration(of: whole)
        let stored = try folder.storedTensors()
        contents = try FolderLayout.plainTensors(
            of: TextPart.tensors(of: try compression.layout?.joined(stored) ?? stored, whole: whole),
            configuration: configuration)
        source = .folder(folder)
    }

    /// All tensors in the order of their files. Tensors without a Hugging Face name, such as GGUF's
    /// `rope_freqs.weight`, keep their own.
    public var tensors: [TensorDescription] { contents.values.map(\.description) }

    /// The tensor called `name`, if there is one.
    public subscript(name: String) -> TensorDescription? { contents[name]?.description }

    /// What the model's tokenizer is to be made from.
    /// - Throws: `CheckpointError` if a GGUF file's vocabulary is missing or damaged.
    public func tokenizerSource() throws(CheckpointError) -> TokenizerSource {
        switch source {
        case .gguf(let file): .gguf(try GGUFTokenizer(file))
        case .folder(let folder): .folder(folder.tokenizerFiles)
        }
    }

    func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        guard let tensor = contents[name] else {
            throw CheckpointError(
                .missing, path: path, subject: "tensor \(name.quoted)", expected: "it among the tensors",
                found: "\(contents.count) others")
        }
        return tensor
    }
}

extension Checkpoint {
    /// Decodes rows of a weight, rounding to nearest even where the type asked for is narrower than the stored one.
    ///
    /// May be called for disjoint rows from several threads. Rows of GGUF query and key projections come in Hugging
    /// Face's order.
    /// - Parameters:
    ///   - name: a tensor stored as F32, F16, BF16 or one of GGUF's types Q4_0 to Q6_K.
    ///   - rows: indices of the first dimension; nil for all.
    ///   - output: `rows.count * columns` elements of `type`, row-major; all are overwritten.
    /// - Throws: `CheckpointError` if there is no such tensor, its stored type is not one of these, or an element is
    ///   NaN or infinite or overflows `type`.
    /// - Precondition: `rows` exist and `output` has exactly the bytes for them.
    /// - Complexity: O(elements); allocates nothing.
    public func read(
        _ name: String, rows: Range<Int>? = nil, as type: WeightType, into output: UnsafeMutableRawBufferPointer
    ) throws(CheckpointError) {
        let tensor = try tensor(name)
        let rows = rows ?? 0..<tensor.description.rows
        precondition(rows.lowerBound >= 0 && rows.upperBound <= tensor.description.rows, "rows \(rows) of \(name)")
        let byteCount = rows.count * tensor.description.columns * type.byteCount
        precondition(output.count == byteCount, "\(output.count) bytes for \(byteCount) of \(name)")
        guard byteCount > 0, let address = output.baseAddress else { return }
        try tensor.read(rows: rows, as: type, to: address)
    }

    /// A tensor's elements where they lie in the mapped file; nil unless they are stored as `type`, in Hugging Face's
    /// order of rows and at an address that fits `Element`. Then ``read(_:rows:as:into:)`` makes a copy.
    ///
    /// Whether weights are finite is not checked: see ``checkFinite(_:)``.
    /// - Precondition: `Element` has the size of `type`: `UInt16` for f16 and bf16, `Float` for f32.
    public func mappedElements<Element: BitwiseCopyable>(
        _ name: String, stored type: ElementType, as: Element.Type = Element.self
    ) throws(CheckpointError) -> Storage<Element>? {
        precondition(MemoryLayout<Element>.stride == type.byteCount, "\(Element.self) is no \(type)")
        let tensor = try tensor(name)
        guard tensor.description.encoding.elementType == type, tensor.isInOrder else { return nil }
        return tensor.bytes.reinterpreted(as: Element.self)
    }

    /// A tensor's bytes where they lie in the mapped file: encoded, and in the file's order of rows. Of a sparse matrix
    /// of compressed-tensors these are the stored values.
    public func mappedBytes(_ name: String) throws(CheckpointError) -> Storage<UInt8> { try tensor(name).bytes }

    /// Checks that a weight which is used as it lies in the file, stored as F32, F16 or BF16, has no NaN or infinity.
    /// - Throws: `CheckpointError` with the tensor's name and the first such element's place.
    /// - Complexity: O(bytes), which are all read from disk.
    public func checkFinite(_ name: String) throws(CheckpointError) { try tensor(name).checkFinite() }

    /// Asks the system to begin to read a tensor's first bytes from disk, and does not wait for them. An unknown name
    /// does nothing.
    /// - Returns: how many bytes these are.
    public func prefetch(_ name: String, byteLimit: Int) -> Int {
        contents[name]?.prefetch(byteLimit: byteLimit) ?? 0
    }

    /// Tells the system that a tensor's mapped pages are not needed any more, so that they stop counting as memory of
    /// this process. They are read anew when touched. An unknown name does nothing.
    public func release(_ name: String) {
        contents[name]?.release()
    }
}

extension Checkpoint {
    /// The bytes of a small file that belongs to a model, such as a tokenizer's, mapped.
    /// - Throws: `CheckpointError` if it cannot be read or is larger than 256 MiB.
    public static func fileBytes(_ path: String) throws(CheckpointError) -> Storage<UInt8> {
        let file = try FileSystem.map(path)
        let limit = 256 << 20
        guard file.byteCount <= limit else {
            throw CheckpointError(
                .unsupported, path: path, subject: "the file", expected: "at most \(limit) bytes",
                found: "\(file.byteCount)")
        }
        return file.bytes
    }
}

import OrderedCollections
public import OrderedJSON
public import Tensors

/// Writes a model in Hugging Face's layout, tensor by tensor: `config.json`, `model.safetensors`, and the further files
/// that its user puts into ``folder``.
public final class ModelFolderWriter {
    /// For further files, such as the tokenizer's.
    public let folder: FolderWriter
    private let tensors: SafetensorsWriter
    /// The CRC-32C of every tensor written so far.
    private(set) var checksums: OrderedDictionary<String, UInt32> = [:]

    /// - Parameters:
    ///   - path: the folder to be.
    ///   - overwriting: whether an existing model folder may be replaced.
    ///   - kept: files and folders that are being read: the new folder may neither replace them nor lie in them.
    ///   - names: of all tensors that may come.
    ///   - alignment: of the tensors; see ``SafetensorsWriter``.
    ///   - started: called with ``folder`` before anything is written.
    /// - Throws: `CheckpointError` if the target is taken or cannot be written.
    public init(
        path: String, overwriting: Bool, keeping kept: [String], names: [String],
        alignment: Int? = SafetensorsWriter.alignment, started: (FolderWriter) -> Void = { _ in }
    ) throws(CheckpointError) {
        folder = try FolderWriter(path: path, overwriting: overwriting, keeping: kept, started: started)
        do throws(CheckpointError) {
            tensors = try SafetensorsWriter(
                path: folder.partialPath(of: ModelFolder.weightsName), names: names,
                metadata: ["format": "pt", "producer": "flash-llm"], alignment: alignment)
        } catch {
            folder.abandon()  // whom `started` has given it to may keep it
            throw error
        }
    }

    /// Appends a tensor.
    /// - Parameter bytes: the elements, row-major and little-endian: as many as `shape` says.
    public func append(
        _ name: String, type: ElementType, shape: [Int], bytes: Storage<UInt8>
    ) throws(CheckpointError) {
        defer { withExtendedLifetime(bytes) {} }  // a buffer does not keep the storage alive
        checksums[name] = try tensors.append(
            name, type: type, shape: shape, bytes: UnsafeRawBufferPointer(bytes.buffer))
    }

    /// Ends the weights, writes `config.json` and puts the folder in its place.
    /// - Throws: `CheckpointError`; then nothing is left behind.
    public func finish(configuration: JSON) throws(CheckpointError) {
        try tensors.finish()
        try folder.write(configuration.text(pretty: true) + "\n", to: ModelFolder.configurationName)
        try folder.finish()
    }
}

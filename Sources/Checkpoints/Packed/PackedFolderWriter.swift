import OrderedCollections
public import OrderedJSON
public import Sparse
public import Tensors

/// Writes a packed model: a Hugging Face-shaped folder whose packed matrices are a few named tensors each.
public final class PackedFolderWriter {
    /// For further files, such as the tokenizer's.
    public let folder: FolderWriter
    private let tensors: SafetensorsWriter
    private let configuration: JSON
    private var manifest = PackedManifest()

    /// - Parameters:
    ///   - path: the folder to be.
    ///   - configuration: the model's, without a manifest.
    ///   - names: of all matrices and other tensors that may come.
    /// - Throws: `CheckpointError` if the target is taken or cannot be written.
    public init(
        path: String, overwriting: Bool, configuration: JSON, names: [String]
    ) throws(CheckpointError) {
        self.configuration = configuration
        folder = try FolderWriter(path: path, overwriting: overwriting)
        let suffixes = PackedFormat.allCases.flatMap(PackedArrays.suffixes)
        tensors = try SafetensorsWriter(
            path: folder.partialPath(of: "model.safetensors"),
            names: names.flatMap { name in suffixes.map { name + $0 } },
            metadata: ["format": "pt", "producer": "flash-llm"])
    }

    /// Appends a tensor that is not packed.
    public func append(
        _ name: String, type: ElementType, shape: [Int], bytes: Storage<UInt8>
    ) throws(CheckpointError) {
        manifest.checksums[name] = try tensors.append(
            name, type: type, shape: shape, bytes: UnsafeRawBufferPointer(bytes.buffer))
    }

    /// Appends a packed matrix.
    /// - Parameter nonzeroCount: how many of its elements are not zero.
    public func append(_ name: String, _ matrix: PackedMatrix, nonzeroCount: Int) throws(CheckpointError) {
        let valueType: ElementType
        switch matrix {
        case .dense(let dense):
            valueType = dense.element
            try append(name, type: dense.element, shape: [dense.rows, dense.columns], bytes: dense.bytes)
        case .tiledBitmap(let bitmap):
            valueType = bitmap.valueType
            try append(vector: name + PackedArrays.masks, .u32, bitmap.masks)
            try append(vector: name + PackedArrays.values, bitmap.valueType, bitmap.values)
            try append(vector: name + PackedArrays.panelOffsets, .u64, bitmap.panelOffsets)
        case .tiledCSL(let csl):
            valueType = csl.valueType
            try append(vector: name + PackedArrays.words, .u32, csl.words)
            try append(vector: name + PackedArrays.tileOffsets, .i32, csl.tileOffsets)
        }
        manifest.matrices[name] = PackedManifest.Matrix(
            format: matrix.format, valueType: valueType, rows: matrix.rows, columns: matrix.columns,
            nonzeroCount: nonzeroCount)
    }

    private func append<Element>(
        vector name: String, _ type: ElementType, _ elements: Storage<Element>
    ) throws(CheckpointError) {
        try append(name, type: type, shape: [elements.count], bytes: elements.bytes)
    }

    /// Writes the configuration and puts the folder in its place.
    /// - Throws: `CheckpointError`; then nothing is left behind.
    public func finish() throws(CheckpointError) {
        try tensors.finish()
        var members = configuration.objectValue ?? [:]
        members[PackedManifest.key] = manifest.json
        try folder.write(JSON.object(members).text(pretty: true) + "\n", to: "config.json")
        try folder.finish()
    }
}

import Tensors

extension GGUFExporter {
    /// What is to be written, the model's tensors first.
    func items(type: MatrixType?, traits: GGUFTraits) throws(CheckpointError) -> [Item] {
        var items: [Item] = []
        for name in weights.names {
            // What the architecture has no name for is nothing that its decoder reads.
            guard let stored = architecture.storedName(of: name), let plain = weights.plainType(of: name),
                !(traits.tiesHead && stored.name.hasPrefix("output."))
            else { continue }
            let shape = try weights.shape(of: name)
            guard 1...GGUFLimits.rank ~= shape.count, !shape.contains(0) else {
                throw CheckpointError(
                    .unsupported, path: weights.checkpoint.path, subject: "tensor \(name.quoted)",
                    expected: "one to \(GGUFLimits.rank) dimensions that are not zero", found: "\(shape)")
            }
            let encoding = Self.encoding(shape: shape, plain: plain, type: type)
            let item = Item(
                source: .tensor(name),
                tensor: GGUFWriter.Tensor(
                    name: stored.name, shape: shape, type: encoding,
                    byteCount: encoding.encoding.byteCount(elementCount: shape.reduce(1, *)) ?? 0),
                interleavedHeadSize: try stored.heads.map { (heads) throws(CheckpointError) in
                    try headSize(heads, rows: shape.first ?? 0, of: name, traits.sizes)
                },
                offset: architecture.offset(of: stored.name))
            try check(item, of: name)
            items.append(item)
        }
        func add(_ name: String, _ numbers: [Float]) {
            let tensor = GGUFWriter.Tensor(
                name: name, shape: [numbers.count], type: .F32, byteCount: 4 * numbers.count)
            items.append(Item(source: .numbers(numbers), tensor: tensor))
        }
        guard let rotary = traits.rotary else { return items }
        switch rotary.scaling {
        case .factors(let factors): add(RotaryTensors.factors, factors)
        case .longRope(let short, let long, _, _):
            add(RotaryTensors.long, long)
            add(RotaryTensors.short, short)
        case .none, .linear, .yarn: break
        }
        return items
    }

    private static func encoding(shape: [Int], plain: WeightType, type: MatrixType?) -> GGUFTensorType {
        guard shape.count >= 2 else { return .F32 }
        switch type {
        case .f32: return .F32
        case .f16: return .F16
        case .bf16: return .BF16
        case .q8_0: return shape[shape.count - 1] % 32 == 0 ? .Q8_0 : .F16
        case nil:
            switch plain {
            case .f32: return .F32
            case .f16: return .F16
            case .bf16: return .BF16
            }
        }
    }

    private func headSize(
        _ heads: GGUFArchitecture.Heads, rows: Int, of name: String, _ sizes: GGUFTraits.Sizes
    ) throws(CheckpointError) -> Int {
        let count = heads == .attention ? sizes.heads : sizes.keyValueHeads
        guard count > 0, rows > 0, rows % count == 0, rows / count % 2 == 0 else {
            throw CheckpointError(
                .damaged, path: weights.checkpoint.path, subject: "tensor \(name.quoted)",
                expected: "\(count) heads of an even number of rows", found: "\(rows) rows")
        }
        return rows / count
    }

    func bytes(of item: Item, _ source: String) throws(CheckpointError) -> Storage<UInt8> {
        let tensor = item.tensor
        let type: WeightType =
            switch tensor.type {
            case .F16: .f16
            case .BF16: .bf16
            default: .f32
            }
        var bytes = try weights.elements(source, as: type)
        if item.offset != 0 { bytes = Self.shifted(bytes, by: item.offset) }
        let rows = tensor.shape.first ?? 1
        if let headSize = item.interleavedHeadSize { bytes = Self.interleaved(bytes, rows: rows, headSize: headSize) }
        return tensor.type == .Q8_0 ? Q8Blocks.encoded(bytes) : bytes
    }

    /// Float32 elements, and something.
    private static func shifted(_ bytes: Storage<UInt8>, by offset: Float) -> Storage<UInt8> {
        let count = bytes.count / MemoryLayout<Float>.stride
        let output = AlignedBuffer<Float>(uninitializedCount: count)
        withExtendedLifetime(bytes) {
            let input = UnsafeRawPointer($0.pointer)
            for index in 0..<count {
                output.elements[index] = input.loadUnaligned(fromByteOffset: 4 * index, as: Float.self) + offset
            }
        }
        return output.frozen().bytes
    }

    /// Rows of heads as ggml wants them: row i of a head's first half before row i of its second half.
    private static func interleaved(_ bytes: Storage<UInt8>, rows: Int, headSize: Int) -> Storage<UInt8> {
        let rowByteCount = bytes.count / rows
        let output = AlignedBuffer<UInt8>(uninitializedCount: bytes.count)
        withExtendedLifetime(bytes) {
            for row in 0..<rows {
                let inHead = row % headSize
                let source = row - inHead + inHead / 2 + inHead % 2 * (headSize / 2)
                UnsafeMutableRawPointer(output.pointer + row * rowByteCount).copyMemory(
                    from: bytes.pointer + source * rowByteCount, byteCount: rowByteCount)
            }
        }
        return output.frozen()
    }
}

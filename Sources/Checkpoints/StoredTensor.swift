import CKernels
import Tensors

/// Where a tensor's elements lie, and how they become Hugging Face's.
struct StoredTensor: Sendable {
    let description: TensorDescription
    let file: MappedFile
    let byteRange: Range<Int>
    /// Where ggml interleaves the rotary pairs of each head's rows, the rows of one head; nil where rows are in order.
    let interleavedHeadSize: Int?
    /// Where a matrix's rows are columns in the file; nil where they are rows there, too.
    var transposition: Transposition? = nil
    /// Where only some of the elements are stored; `file` and `byteRange` are the stored values then.
    var bitmask: BitmaskTensor? = nil
    /// What is added to the stored elements. GGUF files hold Gemma's norms with the 1 that its decoder adds, and -1
    /// makes them Hugging Face's. In Float32 that is exact from 0.5 on, and for every sum of 1 and a number of 16 bits
    /// that had not lost bits itself; elsewhere it is off by 2^-25 at most.
    var offset: Float = 0

    /// Whether the elements lie in the file as they are read.
    var isInOrder: Bool { interleavedHeadSize == nil && transposition == nil && bitmask == nil && offset == 0 }

    var bytes: Storage<UInt8> { file.bytes[byteRange] }

    /// Decodes `rows` to `output`, in Hugging Face's order of rows.
    func read(
        rows: Range<Int>, as type: WeightType, to output: UnsafeMutableRawPointer
    ) throws(CheckpointError) {
        if let bitmask { return try bitmask.read(rows: rows, as: type, to: output, of: description.name) }
        if offset != 0 { return try readShifted(rows: rows, as: type, to: output) }
        let encoding = description.encoding
        guard let decoder = encoding.decoder else {
            throw unsupported("one of \(StoredTensor.readableTypes)", found: encoding.name)
        }
        let columns = description.columns
        if let transposition { return try read(transposition, rows: rows, decoder, as: type, to: output) }
        guard let headSize = interleavedHeadSize else {
            return try decode(decoder, storedRow: rows.lowerBound, rows: rows, as: type, to: output)
        }
        // Hugging Face's rotary embedding turns row i with row i + headSize / 2, ggml's row 2i with row 2i + 1.
        let half = headSize / 2
        for row in rows {
            let inHead = row % headSize
            let storedRow = row - inHead + 2 * (inHead % half) + inHead / half
            let offset = (row - rows.lowerBound) * columns * type.byteCount
            try decode(decoder, storedRow: storedRow, rows: row..<row + 1, as: type, to: output + offset)
        }
    }

    private func readShifted(
        rows: Range<Int>, as type: WeightType, to output: UnsafeMutableRawPointer
    ) throws(CheckpointError) {
        var plain = self
        plain.offset = 0
        let columns = description.columns
        // Of one vector: norms have no other shape.
        var elements = [Float](repeating: 0, count: rows.count * columns)
        guard !elements.isEmpty else { return }
        try plain.read(rows: rows, as: .f32, to: &elements)
        for index in elements.indices { elements[index] += offset }
        guard let index = type.decode(WEIGHT_F32, from: elements, count: elements.count, to: output) else { return }
        throw notFinite(
            row: rows.lowerBound + index / columns, column: index % columns, as: type, value: elements[index])
    }

    /// Decodes the rows stored from `storedRow` on, which are `rows` to the reader.
    private func decode(
        _ decoder: weight_encoding, storedRow: Int, rows: Range<Int>, as type: WeightType,
        to output: UnsafeMutableRawPointer
    ) throws(CheckpointError) {
        let encoding = description.encoding
        let columns = description.columns
        let first = storedRow * columns
        let count = rows.count * columns
        guard first % encoding.elementsPerBlock == 0, count % encoding.elementsPerBlock == 0 else {
            // Rows of matrices are whole blocks; only a quantised vector can be cut inside a block.
            throw unsupported(
                "a read of whole \(encoding.name) blocks of \(encoding.elementsPerBlock) elements",
                found: "elements \(first)..<\(first + count)")
        }
        let input = UnsafeRawPointer(bytes.pointer) + first / encoding.elementsPerBlock * encoding.bytesPerBlock
        guard let index = type.decode(decoder, from: input, count: count, to: output) else { return }
        throw notFinite(
            row: rows.lowerBound + index / columns, column: index % columns, as: type,
            value: value(decoder, at: index, from: input))
    }

    /// Asks the system to begin to read the first bytes, of a sparse matrix the first values; returns how many.
    func prefetch(byteLimit: Int) -> Int {
        let range = byteRange.prefix(max(byteLimit, 0))
        file.prefetch(range)
        return range.count
    }

    /// Calls `body`, which reads these rows, and has the system read little else, where they lie in the file as they
    /// are read.
    func reading<Result>(
        _ stretches: [Range<Int>], _ body: () throws(CheckpointError) -> Result
    ) throws(CheckpointError) -> Result {
        guard isInOrder else { return try body() }
        let encoding = description.encoding
        let rowBytes = description.columns / encoding.elementsPerBlock * encoding.bytesPerBlock
        let first = byteRange.lowerBound
        let parts = stretches.map { first + $0.lowerBound * rowBytes..<first + $0.upperBound * rowBytes }
        return try file.reading(parts, of: byteRange, body)
    }

    /// Tells the system that the mapped pages are not needed any more.
    func release() {
        if let bitmask { bitmask.release() } else { file.release(byteRange) }
    }

    /// Element `index` of those at `input` as Float32, for an error message.
    func value(_ decoder: weight_encoding, at index: Int, from input: UnsafeRawPointer) -> Float {
        let encoding = description.encoding
        let block = index / encoding.elementsPerBlock
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: encoding.elementsPerBlock) { elements in
            let address = input + block * encoding.bytesPerBlock
            _ = decode_weights_f32(decoder, address, Int64(encoding.elementsPerBlock), elements.baseAddress!)
            return elements[index % encoding.elementsPerBlock]
        }
    }

    /// Checks elements that are used as they lie in the file.
    func checkFinite() throws(CheckpointError) {
        if let bitmask { return try bitmask.checkFinite(description.name) }
        guard let decoder = description.encoding.decoder,
            let type = WeightType.allCases.first(where: { $0.elementType == description.encoding.elementType })
        else { throw unsupported("F32, F16 or BF16", found: description.encoding.name) }
        if transposition != nil {
            // Others' columns lie between this one's.
            var row = [Float](repeating: 0, count: description.columns)
            for index in 0..<description.rows { try read(rows: index..<index + 1, as: .f32, to: &row) }
            return
        }
        let buffer = UnsafeRawBufferPointer(bytes.buffer)
        guard let index = type.firstNonFinite(in: buffer), let address = buffer.baseAddress else { return }
        throw notFinite(
            row: index / description.columns, column: index % description.columns, as: type,
            value: value(decoder, at: index, from: address))
    }

    func notFinite(row: Int, column: Int, as type: WeightType, value: Float) -> CheckpointError {
        let found = value.isFinite ? "\(value), which \(type) cannot hold" : "\(value)"
        return CheckpointError(
            .notFinite, path: description.path,
            subject: "tensor \(description.name.quoted), row \(row), column \(column)", expected: "a finite number",
            found: found)
    }

    func unsupported(_ expected: String, found: String) -> CheckpointError {
        CheckpointError(
            .unsupported, path: description.path, subject: "tensor \(description.name.quoted)", expected: expected,
            found: found)
    }

    private static let readableTypes = GGUFTensorType.allCases.filter(\.encoding.isReadable).map { "\($0)" }
        .joined(separator: ", ")
}

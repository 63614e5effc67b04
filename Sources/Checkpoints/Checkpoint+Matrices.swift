import Synchronization
public import Tensors

extension Checkpoint {
    /// A weight's elements as `type`, wherever that is cheapest: in the mapped file if they are stored so, else decoded
    /// into memory by all threads of `pool`, after which the mapped pages are given back.
    ///
    /// Decoded elements are known to be finite, mapped ones are not: see ``checkFinite(_:)``.
    /// - Parameter arena: where decoded weights go that stay together; nil for memory of their own.
    /// - Throws: as ``read(_:rows:as:into:)``.
    /// - Complexity: O(1) if mapped, O(elements) else.
    public func elements(
        _ name: String, as type: WeightType, pool: WorkerPool, arena: Arena? = nil
    ) throws(CheckpointError) -> Storage<UInt8> {
        guard let description = self[name] else {
            // Reading says what is missing.
            try read(name, as: type, into: UnsafeMutableRawBufferPointer(start: nil, count: 0))
            preconditionFailure("a tensor that is not listed was read")
        }
        let bytes: Storage<UInt8>? =
            switch type {
            case .f32: try mappedElements(name, stored: .f32, as: Float.self)?.bytes
            case .f16: try mappedElements(name, stored: .f16, as: UInt16.self)?.bytes
            case .bf16: try mappedElements(name, stored: .bf16, as: UInt16.self)?.bytes
            }
        if let bytes { return bytes }
        let rowBytes = description.columns * type.byteCount
        let byteCount = description.rows * rowBytes
        let buffer = arena?.buffer(byteCount: byteCount) ?? AlignedBuffer(uninitializedCount: byteCount)
        let rowsPerChunk = max(description.rows / (pool.threadCount * 8), 1)
        let failure = Mutex<CheckpointError?>(nil)
        pool.forEachChunk((description.rows + rowsPerChunk - 1) / rowsPerChunk) { chunk, _ in
            let rows = chunk * rowsPerChunk..<min((chunk + 1) * rowsPerChunk, description.rows)
            let output = UnsafeMutableRawBufferPointer(
                start: buffer.pointer + rows.lowerBound * rowBytes, count: rows.count * rowBytes)
            do throws(CheckpointError) { try read(name, rows: rows, as: type, into: output) } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
        release(name)
        return buffer.frozen()
    }
}

extension Checkpoint {
    /// What a matrix is stored as in 16 bits: bf16 if it is so already, f16 else.
    public func sixteenBitType(of name: String) -> WeightType {
        self[name]?.encoding.elementType == .bf16 ? .bf16 : .f16
    }

    /// A matrix as the 16-bit elements that formats are made of: bf16 if it is stored so, f16 else.
    /// - Throws: as ``read(_:rows:as:into:)``, and if `name` is no matrix.
    public func sixteenBitMatrix(
        _ name: String, pool: WorkerPool
    ) throws(CheckpointError) -> (rows: Int, columns: Int, type: WeightType, elements: Storage<UInt16>) {
        let type = sixteenBitType(of: name)
        let bytes = try elements(name, as: type, pool: pool)
        guard let description = self[name], description.shape.count == 2, description.elementCount > 0,
            let elements = bytes.reinterpreted(as: UInt16.self)
        else {
            throw CheckpointError(
                .damaged, path: path, subject: "tensor \(name.quoted)", expected: "a matrix",
                found: "shape \(self[name]?.shape ?? [])")
        }
        return (description.rows, description.columns, type, elements)
    }

    /// A tensor in a type that every reader knows: as it is if stored element by element; block-quantised matrices
    /// become f16, vectors f32.
    public func portableElements(
        _ name: String, pool: WorkerPool
    ) throws(CheckpointError) -> (type: ElementType, bytes: Storage<UInt8>) {
        if let description = self[name], description.encoding.elementType == nil {
            let type: WeightType = description.shape.count >= 2 ? .f16 : .f32
            return (type.elementType, try elements(name, as: type, pool: pool))
        }
        if let description = self[name], let type = description.encoding.elementType,
            let weightType = WeightType(rawValue: type.rawValue)
        {
            // Through `elements`, which puts rows in Hugging Face's order.
            return (type, try elements(name, as: weightType, pool: pool))
        }
        return (self[name]?.encoding.elementType ?? .u8, try mappedBytes(name))
    }
}

import CKernels
import Synchronization
public import Tensors

extension QuantizedMatrix {
    /// Rounds a dense matrix to integers.
    ///
    /// A group's scale is the largest weight's for `i16`; for `i8` and `i4` several are tried, and the one of the least
    /// squared error is taken. What is not cut off at the end of the range is off by half a scale at most. Two passes
    /// over the elements: scales and counts, then values. Panels are spread over `pool`.
    /// - Parameters:
    ///   - dense: f32, f16 or bf16.
    ///   - positions: nil for those that take fewer bytes.
    /// - Throws: `SparseError.notFinite` for a NaN or an infinity.
    /// - Complexity: O(rows * columns).
    public init(
        _ dense: DenseMatrix, coding: QuantizedCoding, group: ScaleGroup, positions: Positions? = nil,
        pool: WorkerPool = WorkerPool(threadCount: 1), kernels: Kernels = .best
    ) throws(SparseError) {
        try self.init(dense, coding: coding, group: group, pool: pool, kernels: kernels) { positions ?? $0.smallest }
    }

    /// What is known of a matrix of integers before they are stored.
    struct Rounded {
        /// Integers that are not zero: weights can round to it.
        let nonzeroCount: Int
        /// Bytes of all arrays in either form.
        let denseByteCount: Int
        let bitmapByteCount: Int

        var smallest: Positions { bitmapByteCount < denseByteCount ? .bitmap : .dense }
    }

    /// The same with positions that are chosen when it is known what each would take.
    init(
        _ dense: DenseMatrix, coding: QuantizedCoding, group: ScaleGroup, pool: WorkerPool, kernels: Kernels = .best,
        choosing choose: (Rounded) -> Positions
    ) throws(SparseError) {
        let shape = Shape(rows: dense.rows, columns: dense.columns, coding: coding, group: group)
        let rounding = try QuantizedRounding(dense, shape: shape, pool: pool, kernels: kernels)
        self = rounding.matrix(choose(rounding.rounded), pool: pool)
    }
}

/// A dense matrix's scales and how many of its integers are not zero; makes the integers when they are packed.
private struct QuantizedRounding {
    let dense: DenseMatrix
    let shape: QuantizedMatrix.Shape
    let kernels: Kernels
    /// `[panels, groups, 16]`
    let scales: AlignedBuffer<UInt16>
    /// `[panels, 2]`: the nonzeros in each panel's even and odd chunks.
    let counts: AlignedBuffer<Int>

    private static let panelRows = QuantizedMatrix.panelRows

    init(
        _ dense: DenseMatrix, shape: QuantizedMatrix.Shape, pool: WorkerPool, kernels: Kernels
    ) throws(SparseError) {
        self.dense = dense
        self.shape = shape
        self.kernels = kernels
        scales = AlignedBuffer(repeating: 0, count: shape.panels * shape.groups * Self.panelRows)
        counts = AlignedBuffer(repeating: 0, count: shape.panels * 2)
        let notFinite = Mutex<Int?>(nil)
        let scratch = Scratch(shape, threadCount: pool.threadCount)
        pool.forEachChunk(shape.panels) { [self] panel, thread in
            for row in 0..<rowCount(ofPanel: panel) {
                let index = panel * Self.panelRows + row
                if let column = firstNotFinite(inRow: index) {
                    let place = index * shape.columns + column
                    notFinite.withLock { $0 = min($0 ?? place, place) }
                    return
                }
                let weights = scratch.weights(ofThread: thread)
                widen(row: index, into: weights)
                kernels.table.fit_scales(
                    weights, Int64(scratch.stride), Int64(shape.groupColumns), shape.coding.kernelCoding,
                    scale(panel: panel, row: row))
                let count = round(weights, panel: panel, row: row, scratch, into: scratch.integers(ofThread: thread))
                counts.pointer[2 * panel] += count.even
                counts.pointer[2 * panel + 1] += count.odd
            }
        }
        if let place = notFinite.withLock({ $0 }) {
            throw .notFinite(row: place / shape.columns, column: place % shape.columns)
        }
    }

    private func rowCount(ofPanel panel: Int) -> Int { min(Self.panelRows, shape.rows - panel * Self.panelRows) }

    private func address(ofRow row: Int) -> UnsafePointer<UInt8> {
        dense.bytes.pointer + row * shape.columns * dense.element.byteCount
    }

    private func firstNotFinite(inRow row: Int) -> Int? {
        let encoding = dense.element == .f32 ? WEIGHT_F32 : dense.element == .f16 ? WEIGHT_F16 : WEIGHT_BF16
        let index = Int(first_nonfinite_weight(encoding, address(ofRow: row), Int64(shape.columns)))
        return index < shape.columns ? index : nil
    }

    private func widen(row: Int, into weights: UnsafeMutablePointer<Float>) {
        kernels.table.widen(address(ofRow: row), dense.element.kernelElement, Int64(shape.columns), weights)
    }

    /// The first scale of a row; those of further groups follow 16 elements apart.
    private func scale(panel: Int, row: Int) -> UnsafeMutablePointer<UInt16> {
        scales.pointer + panel * shape.groups * Self.panelRows + row
    }

    /// Returns the nonzeros in the row's even and in its odd chunks.
    @discardableResult
    private func round(
        _ weights: UnsafePointer<Float>, panel: Int, row: Int, _ scratch: Scratch,
        into integers: UnsafeMutablePointer<Int16>
    ) -> (even: Int, odd: Int) {
        var counts: (Int64, Int64) = (0, 0)
        withUnsafeMutablePointer(to: &counts) { counts in
            counts.withMemoryRebound(to: Int64.self, capacity: 2) { counts in
                kernels.table.round_weights(
                    weights, Int64(scratch.stride), Int64(shape.groupColumns), shape.coding.kernelCoding,
                    scale(panel: panel, row: row), integers, counts)
            }
        }
        return (Int(counts.0), Int(counts.1))
    }

    /// Bytes of the values, panel by panel.
    private func panelByteCount(_ panel: Int, _ positions: QuantizedMatrix.Positions) -> Int {
        switch positions {
        case .dense: shape.densePanelByteCount
        case .bitmap: shape.panelByteCount(even: counts.pointer[2 * panel], odd: counts.pointer[2 * panel + 1])
        }
    }

    var rounded: QuantizedMatrix.Rounded {
        func byteCount(_ positions: QuantizedMatrix.Positions) -> Int {
            shape.storedByteCount(
                positions, valueByteCount: (0..<shape.panels).reduce(0) { $0 + panelByteCount($1, positions) })
        }
        return QuantizedMatrix.Rounded(
            nonzeroCount: counts.elements.reduce(0, +), denseByteCount: byteCount(.dense),
            bitmapByteCount: byteCount(.bitmap))
    }

    func matrix(_ positions: QuantizedMatrix.Positions, pool: WorkerPool) -> QuantizedMatrix {
        let offsets = AlignedBuffer<UInt64>(repeating: 0, count: shape.panels + 1)
        for panel in 0..<shape.panels {
            offsets.pointer[panel + 1] = offsets.pointer[panel] + UInt64(panelByteCount(panel, positions))
        }
        let maskByteCount = shape.chunks * shape.coding.maskByteCount
        let masks = positions == .dense ? nil : AlignedBuffer<UInt8>(uninitializedCount: shape.panels * maskByteCount)
        // Nibbles are added to what is there.
        let values = AlignedBuffer<UInt8>(
            repeating: 0, count: Int(offsets.pointer[shape.panels]) + QuantizedMatrix.valuePadding)
        let scratch = Scratch(shape, threadCount: pool.threadCount)
        pool.forEachChunk(shape.panels) { panel, thread in
            let (weights, integers) = (scratch.weights(ofThread: thread), scratch.integers(ofThread: thread))
            for row in 0..<Self.panelRows {
                let target = integers + row * scratch.stride
                if row < rowCount(ofPanel: panel) {
                    widen(row: panel * Self.panelRows + row, into: weights)
                    round(weights, panel: panel, row: row, scratch, into: target)
                } else {
                    target.update(repeating: 0, count: scratch.stride)
                }
            }
            let first = Int(offsets.pointer[panel])
            kernels.table.pack_chunks(
                integers, Int64(scratch.stride), Int64(shape.chunks), shape.coding.kernelCoding,
                masks.map { UnsafeMutableRawPointer($0.pointer + panel * maskByteCount) }, values.pointer + first,
                Int64(offsets.pointer[panel + 1]) - Int64(first))
        }
        return QuantizedMatrix(
            unchecked: shape, masks: masks?.frozen(), values: values.frozen(), panelOffsets: offsets.frozen(),
            scales: scales.frozen())
    }
}

/// Each thread's room for a row of weights and a panel of integers. Rows are padded to a multiple of 32 elements;
/// nobody writes to the padding of the weights, which is zero.
private struct Scratch {
    let stride: Int
    private let weights: AlignedBuffer<Float>
    private let integers: AlignedBuffer<Int16>

    init(_ shape: QuantizedMatrix.Shape, threadCount: Int) {
        stride = (shape.columns + 31) / 32 * 32
        weights = AlignedBuffer(repeating: 0, count: threadCount * stride)
        integers = AlignedBuffer(uninitializedCount: threadCount * stride * QuantizedMatrix.panelRows)
    }

    func weights(ofThread thread: Int) -> UnsafeMutablePointer<Float> { weights.pointer + thread * stride }

    func integers(ofThread thread: Int) -> UnsafeMutablePointer<Int16> {
        integers.pointer + thread * stride * QuantizedMatrix.panelRows
    }
}

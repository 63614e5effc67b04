import CKernels
public import Sparse
public import Tensors

/// Products of float32 matrices by all threads of a pool, on the dense kernels of the decoder.
///
/// Results depend on the shapes alone, not on the number of threads. One thread drives it at a time.
/// Within a tenth of the multipliers' peak for matrices of some hundred rows and columns.
public final class Arithmetic: @unchecked Sendable {
    public let pool: WorkerPool
    public let kernels: Kernels
    public let precision: Precision
    private let scratch: AlignedBuffer<UInt8>

    /// What products are computed with; everything else is float32.
    public enum Precision: Sendable {
        case float32
        /// Operands rounded to bf16 and sums in float32, twice as fast where the processor has an instruction for it
        /// (AVX-512 BF16); float32 elsewhere. Good enough for gradients, not for a factorisation.
        case bfloat16
    }

    public init(pool: WorkerPool, kernels: Kernels = .best, precision: Precision = .float32) {
        self.pool = pool
        self.kernels = kernels
        self.precision = precision
        scratch = AlignedBuffer(uninitializedCount: pool.threadCount * Kernels.scratchByteCount)
    }

    /// Another one on the same threads.
    public func with(precision: Precision) -> Arithmetic {
        Arithmetic(pool: pool, kernels: kernels, precision: precision)
    }

    /// Scratch memory of one of the pool's threads, ``Kernels/scratchByteCount`` bytes.
    public func scratch(ofThread thread: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(scratch.pointer + thread * Kernels.scratchByteCount)
    }

    /// Rows of the left operand in one task at most. Of as many bf16 kernels round a part of the right one at once.
    private var mostTaskRows: Int { precision == .bfloat16 ? 384 : 192 }
    /// Rows of the right operand in one task at least, where the left one has few. Every task rounds or copies its part
    /// of the left operand anew.
    private static let taskColumns = 96
    /// Tasks that a thread has at least, where there are enough columns.
    private static let tasksPerThread = 4

    /// `output[i, j] = sum over k of left[i, k] * right[j, k]`: the product with the right operand transposed.
    /// - Parameters:
    ///   - left: `[m, k]`.
    ///   - right: `[n, k]`, contiguous.
    ///   - output: `[m, n]`; overlaps neither.
    /// - Complexity: O(m n k).
    public func multiply(_ left: MatrixSlice, transposed right: MatrixSlice, into output: MatrixSlice) {
        precondition(left.columns == right.columns && output.rows == left.rows && output.columns == right.rows)
        precondition(right.isContiguous, "the right operand has gaps between its rows")
        if output.rows == 0 || output.columns == 0 { return }
        // Tasks of one size, as few as that allows.
        let leastRowTasks = (left.rows + mostTaskRows - 1) / mostTaskRows
        let taskRows = (left.rows + leastRowTasks - 1) / leastRowTasks
        let rowTasks = (left.rows + taskRows - 1) / taskRows
        let blocks = (right.rows + Self.taskColumns - 1) / Self.taskColumns
        let parts = min((Self.tasksPerThread * pool.threadCount + rowTasks - 1) / rowTasks, blocks)
        let taskColumns = (blocks + parts - 1) / parts * Self.taskColumns
        let columnTasks = (right.rows + taskColumns - 1) / taskColumns
        pool.forEachChunk(rowTasks * columnTasks) { task, thread in
            let first = task / columnTasks * taskRows
            let rows = first..<min(first + taskRows, left.rows)
            let from = task % columnTasks * taskColumns
            let to = min(from + taskColumns, right.rows)
            multiply(
                left.slice(rows: rows), transposed: right, rows: from..<to, into: output.slice(rows: rows),
                scratch: scratch(ofThread: thread))
        }
    }

    /// The same on one thread, for the given rows of `right`, which become columns of `output`.
    public func multiply(
        _ left: MatrixSlice, transposed right: MatrixSlice, rows: Range<Int>, into output: MatrixSlice,
        scratch: UnsafeMutableRawPointer
    ) {
        var matrix = flash_dense(
            elements: right.pointer, element: FLASH_F32, rows: Int64(right.rows), columns: Int64(right.columns))
        var operands = flash_operands(
            input: left.pointer, input_stride: Int64(left.stride), output: output.pointer,
            output_stride: Int64(output.stride), tokens: Int64(left.rows), scratch: scratch, transposed: nil)
        let product = precision == .bfloat16 ? kernels.table.product_bf16 : nil
        (product ?? kernels.table.product_dense!)(
            &matrix, Int64(rows.lowerBound), Int64(rows.upperBound), &operands)
    }

    /// `output[j, i] = input[i, j]`
    public func transpose(_ input: MatrixSlice, into output: MatrixSlice) {
        precondition(output.rows == input.columns && output.columns == input.rows)
        let tile = 64
        pool.forEachChunk((input.columns + tile - 1) / tile) { task, _ in
            let first = task * tile
            kernels.table.transpose_matrix(
                input.pointer + first, Int64(input.stride), Int64(input.rows), Int64(min(tile, input.columns - first)),
                output.row(first), Int64(output.stride))
        }
    }

    /// `target[i, j] += factor * addend[i, j]`
    public func add(_ addend: MatrixSlice, times factor: Float = 1, to target: MatrixSlice) {
        precondition(addend.rows == target.rows && addend.columns == target.columns)
        forEachRow(of: target) { row in
            let (from, to) = (addend.row(row), target.row(row))
            for column in 0..<target.columns { to[column] += factor * from[column] }
        }
    }

    public func copy(_ source: MatrixSlice, into target: MatrixSlice) {
        precondition(source.rows == target.rows && source.columns == target.columns)
        forEachRow(of: target) { target.row($0).update(from: source.row($0), count: target.columns) }
    }

    /// Calls `body` for each row, spread over the threads.
    public func forEachRow(of slice: MatrixSlice, _ body: (Int) -> Void) {
        let perTask = max(min(slice.rows / (pool.threadCount * 8), (1 << 16) / max(slice.columns, 1)), 1)
        pool.forEachChunk((slice.rows + perTask - 1) / perTask) { task, _ in
            for row in task * perTask..<min((task + 1) * perTask, slice.rows) { body(row) }
        }
    }
}

import Tensors

/// A float32 matrix `[rows, columns]`, row-major, in memory of its own.
///
/// A reference: whoever holds it may write to it, and must see to it that nobody else does meanwhile.
public final class Matrix: @unchecked Sendable {
    public let rows: Int
    public let columns: Int
    private let buffer: AlignedBuffer<Float>

    /// Not initialised.
    public init(uninitializedRows rows: Int, columns: Int) {
        precondition(rows >= 1 && columns >= 1, "a matrix of \(rows) x \(columns)")
        let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
        precondition(!overflow, "a matrix of \(rows) x \(columns) overflows")
        self.rows = rows
        self.columns = columns
        buffer = AlignedBuffer(uninitializedCount: count)
    }

    /// All zeros.
    public convenience init(zeroRows rows: Int, columns: Int) {
        self.init(uninitializedRows: rows, columns: columns)
        buffer.elements.initialize(repeating: 0)
    }

    /// - Parameter elements: `rows * columns`, row-major.
    public convenience init(rows: Int, columns: Int, _ elements: some Collection<Float>) {
        self.init(uninitializedRows: rows, columns: columns)
        precondition(elements.count == rows * columns, "\(elements.count) elements, expected \(rows) x \(columns)")
        _ = buffer.elements.initialize(fromContentsOf: elements)
    }

    /// All elements. They do not keep the matrix alive: where it is used no more, it may be gone.
    public var elements: UnsafeMutableBufferPointer<Float> { buffer.elements }
    public var pointer: UnsafeMutablePointer<Float> { buffer.pointer }

    public subscript(row: Int, column: Int) -> Float {
        get {
            precondition(row >= 0 && row < rows && column >= 0 && column < columns)
            return pointer[row * columns + column]
        }
        set {
            precondition(row >= 0 && row < rows && column >= 0 && column < columns)
            pointer[row * columns + column] = newValue
        }
    }

    public func copy() -> Matrix { Matrix(rows: rows, columns: columns, elements) }

    /// The whole matrix as a slice.
    public var slice: MatrixSlice {
        MatrixSlice(pointer: pointer, rows: rows, columns: columns, stride: columns, owner: self)
    }

    /// Some rows and columns of it.
    public func slice(rows: Range<Int>, columns: Range<Int>? = nil) -> MatrixSlice {
        slice.slice(rows: rows, columns: columns)
    }
}

/// A rectangle of a matrix, which it keeps alive.
public struct MatrixSlice: @unchecked Sendable {
    public let pointer: UnsafeMutablePointer<Float>
    public let rows: Int
    public let columns: Int
    /// Elements from one row to the next.
    public let stride: Int
    private let owner: AnyObject?

    /// - Parameter owner: whose memory it is; nil if the caller sees to it that the memory stays.
    public init(
        pointer: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int, owner: AnyObject? = nil
    ) {
        self.owner = owner
        precondition(rows >= 0 && columns >= 0 && stride >= columns)
        self.pointer = pointer
        self.rows = rows
        self.columns = columns
        self.stride = stride
    }

    public var isContiguous: Bool { stride == columns || rows <= 1 }

    public func row(_ index: Int) -> UnsafeMutablePointer<Float> { pointer + index * stride }

    public func slice(rows: Range<Int>, columns: Range<Int>? = nil) -> MatrixSlice {
        let columns = columns ?? 0..<self.columns
        precondition(rows.lowerBound >= 0 && rows.upperBound <= self.rows, "rows \(rows) of \(self.rows)")
        precondition(columns.lowerBound >= 0 && columns.upperBound <= self.columns)
        return MatrixSlice(
            pointer: pointer + rows.lowerBound * stride + columns.lowerBound, rows: rows.count,
            columns: columns.count, stride: stride, owner: owner)
    }
}

import CKernels
public import Tensors

/// A weight matrix `[rows, columns]`, row-major: the format for what is not sparse enough to win, and for embeddings,
/// whose rows are looked up.
public struct DenseMatrix: Sendable {
    public let rows: Int
    public let columns: Int
    /// f32, f16 or bf16.
    public let element: ElementType
    /// rows * columns elements of `element`, as bytes.
    public let bytes: Storage<UInt8>

    /// - Precondition: `element` is f32, f16 or bf16; `bytes` holds exactly the elements and is aligned for them.
    public init(rows: Int, columns: Int, element: ElementType, bytes: Storage<UInt8>) {
        precondition([.f32, .f16, .bf16].contains(element), "\(element) is no weight type")
        precondition(rows >= 1 && columns >= 1 && bytes.count == rows * columns * element.byteCount)
        precondition(UInt(bitPattern: bytes.pointer) % UInt(element.byteCount) == 0)
        self.rows = rows
        self.columns = columns
        self.element = element
        self.bytes = bytes
    }

    public var storedByteCount: Int { bytes.count }

    /// The 16-bit patterns, row-major; nil for f32.
    public var sixteenBitElements: Storage<UInt16>? {
        element == .f32 ? nil : bytes.reinterpreted(as: UInt16.self)
    }

    /// Row `row` as float32 into `output`, `columns` elements.
    public func widenRow(_ row: Int, into output: UnsafeMutablePointer<Float>, kernels: Kernels) {
        precondition(row >= 0 && row < rows, "row \(row) of \(rows)")
        kernels.table.widen(
            bytes.pointer + row * columns * element.byteCount, element.kernelElement, Int64(columns), output)
    }

    /// Addresses within the matrix, which must outlive them.
    var kernelMatrix: flash_dense {
        flash_dense(
            elements: bytes.pointer, element: element.kernelElement, rows: Int64(rows), columns: Int64(columns))
    }
}

extension ElementType {
    /// The kernels' word for this type.
    var kernelElement: flash_element {
        switch self {
        case .f32: FLASH_F32
        case .f16: FLASH_F16
        case .bf16: FLASH_BF16
        default: preconditionFailure("\(self) is no weight type")
        }
    }
}

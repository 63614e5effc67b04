public import Sparse
public import Tensors

/// A weight that a 16-bit type cannot hold.
public struct WeightOverflow: Error, Equatable, CustomStringConvertible {
    public let row: Int
    public let column: Int
    public let value: Float
    public let type: ElementType

    public var description: String { "the weight \(value) at row \(row), column \(column) does not fit \(type)" }
}

extension PackedMatrix {
    /// Whether the elements are stored as bf16, which activations must be, too, if nothing shall be rounded.
    public var isBF16: Bool {
        switch self {
        case .dense(let matrix): matrix.element == .bf16
        case .tiledCSL(let matrix): matrix.valueType == .bf16
        case .tiledBitmap(let matrix): matrix.valueType == .bf16
        case .slicedEllpack(let matrix): matrix.valueType == .bf16
        case .quantized: false
        }
    }

    /// All elements, row-major `[rows, columns]`, as f16 or bf16 patterns: as they are stored, or rounded to nearest.
    /// - Throws: `WeightOverflow` for an element that is finite and would not stay so.
    /// - Complexity: O(rows * columns).
    public func sixteenBitRows(as type: ElementType) throws(WeightOverflow) -> Storage<UInt16> {
        precondition([.f16, .bf16].contains(type))
        let (stored, storedType): (Storage<UInt16>, ElementType)
        switch self {
        case .dense(let matrix):
            guard let elements = matrix.sixteenBitElements else {
                let floats = matrix.bytes.reinterpreted(as: Float.self)!
                return try Self.narrowed(floats.count, columns, type) { floats.pointer[$0] }
            }
            (stored, storedType) = (elements, matrix.element)
        case .tiledCSL(let matrix): (stored, storedType) = (Storage(matrix.dense()), matrix.valueType)
        case .tiledBitmap(let matrix): (stored, storedType) = (matrix.dense(), matrix.valueType)
        case .slicedEllpack(let matrix): (stored, storedType) = (matrix.dense(), matrix.valueType)
        case .quantized(let matrix):
            let floats = matrix.dequantized()
            return try Self.narrowed(floats.count, columns, type) { floats.pointer[$0] }
        }
        if storedType == type { return stored }
        return try Self.narrowed(stored.count, columns, type) { index in
            storedType == .f16
                ? Float(Float16(bitPattern: stored.pointer[index]))
                : Float(bitPattern: UInt32(stored.pointer[index]) << 16)
        }
    }

    private static func narrowed(
        _ count: Int, _ columns: Int, _ type: ElementType, _ element: (Int) -> Float
    ) throws(WeightOverflow) -> Storage<UInt16> {
        let output = AlignedBuffer<UInt16>(uninitializedCount: count)
        for index in 0..<count {
            let value = element(index)
            let bits = type == .f16 ? Float16(value).bitPattern : Self.bf16(value)
            // The exponent of infinity in place of a number's.
            let mask: UInt16 = type == .f16 ? 0x7C00 : 0x7F80
            if bits & mask == mask, value.isFinite {
                throw WeightOverflow(row: index / columns, column: index % columns, value: value, type: type)
            }
            output.pointer[index] = bits
        }
        return output.frozen()
    }

    /// To nearest, ties to even.
    private static func bf16(_ value: Float) -> UInt16 {
        if value.isNaN { return 0x7FC0 }
        let bits = value.bitPattern
        return UInt16((bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    }
}

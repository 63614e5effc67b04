import Tensors

extension TiledCSL {
    /// One stored word: an element's value and its place in the tile.
    @frozen public struct Entry: Equatable, Sendable {
        public let bits: UInt32

        @inlinable public init(bits: UInt32) { self.bits = bits }

        /// The word for `value` at row 0..<128 and column 0..<64 of a tile.
        @inlinable public init(value: UInt16, row: Int, column: Int) {
            let position = row &* 64 &+ (column ^ Self.swizzle(row: row))
            bits = UInt32(value) | UInt32(truncatingIfNeeded: position) << 16
        }

        /// The element's bits, in the matrix's value type.
        @inlinable public var value: UInt16 { UInt16(truncatingIfNeeded: bits) }

        /// Where the element lies in the expanded tile, in elements. 0..<8192 in a valid matrix.
        @inlinable public var position: Int { Int(bits >> 16) }

        /// Row in the tile; 0..<128 in a valid matrix.
        @inlinable public var row: Int { position >> 6 }

        /// Column in the tile, 0..<64.
        @inlinable public var column: Int { (position & 63) ^ Self.swizzle(row: row) }

        /// The bank of on-chip memory that the expanded element lies in, 0..<32: a row of 64 16-bit elements spans all
        /// 32 banks of 4 bytes, so two neighbours share one.
        @inlinable public var bank: Int { (position & 63) >> 1 }

        /// Whether the word only fills its tile up to a multiple of four.
        @inlinable public var isZero: Bool { bits & 0x7FFF == 0 }

        /// What the columns of `row` are XORed with: the row modulo 8, times 8 elements (16 bytes, the unit that matrix
        /// instructions load), so that eight rows' chunks of one column lie in different banks.
        @inlinable public static func swizzle(row: Int) -> Int { (row & 7) << 3 }
    }

    /// The smallest magnitude, as bits without the sign, that is not finite.
    static func nonFiniteMagnitude(_ valueType: ElementType) throws(SparseError) -> UInt16 {
        switch valueType {
        case .f16: 0x7C00
        case .bf16: 0x7F80
        default: throw .unsupportedValueType(valueType)
        }
    }
}

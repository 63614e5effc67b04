/// The type of one stored element, where elements are stored one by one.
///
/// Block-quantised types (GGUF's Q4_1 and friends) are not element types: they are decoded when a checkpoint is read.
public enum ElementType: String, Sendable, CaseIterable {
    case f64, f32, f16, bf16
    case i64, i32, i16, i8
    case u64, u32, u16, u8
    case bool

    /// Size of one element in bytes.
    public var byteCount: Int {
        switch self {
        case .f64, .i64, .u64: 8
        case .f32, .i32, .u32: 4
        case .f16, .bf16, .i16, .u16: 2
        case .i8, .u8, .bool: 1
        }
    }
}

import CKernels

/// The ways in which GGUF stores a tensor's elements, in the format's own spelling; raw values as in the file.
///
/// Source: ggml's `ggml.h` and `ggml-common.h`.
public enum GGUFTensorType: UInt32, Sendable, CaseIterable {
    case F32 = 0
    case F16 = 1
    case Q4_0 = 2
    case Q4_1 = 3
    case Q5_0 = 6
    case Q5_1 = 7
    case Q8_0 = 8
    case Q8_1 = 9
    case Q2_K = 10
    case Q3_K = 11
    case Q4_K = 12
    case Q5_K = 13
    case Q6_K = 14
    case Q8_K = 15
    case IQ2_XXS = 16
    case IQ2_XS = 17
    case IQ3_XXS = 18
    case IQ1_S = 19
    case IQ4_NL = 20
    case IQ3_S = 21
    case IQ2_S = 22
    case IQ4_XS = 23
    case I8 = 24
    case I16 = 25
    case I32 = 26
    case I64 = 27
    case F64 = 28
    case IQ1_M = 29
    case BF16 = 30
    case TQ1_0 = 34
    case TQ2_0 = 35
    case MXFP4 = 39
    case NVFP4 = 40
    case Q1_0 = 41

    /// Elements and bytes of one block, and what decodes it.
    public var encoding: StoredEncoding {
        switch self {
        case .F32: StoredEncoding(.f32)
        case .F16: StoredEncoding(.f16)
        case .BF16: StoredEncoding(.bf16)
        case .F64: StoredEncoding(.f64)
        case .I8: StoredEncoding(.i8)
        case .I16: StoredEncoding(.i16)
        case .I32: StoredEncoding(.i32)
        case .I64: StoredEncoding(.i64)
        case .Q4_0: block(32, 18, WEIGHT_Q4_0)
        case .Q4_1: block(32, 20, WEIGHT_Q4_1)
        case .Q5_0: block(32, 22, WEIGHT_Q5_0)
        case .Q5_1: block(32, 24, WEIGHT_Q5_1)
        case .Q8_0: block(32, 34, WEIGHT_Q8_0)
        case .Q4_K: block(256, 144, WEIGHT_Q4_K)
        case .Q5_K: block(256, 176, WEIGHT_Q5_K)
        case .Q6_K: block(256, 210, WEIGHT_Q6_K)
        case .Q8_1: block(32, 36)
        case .Q2_K: block(256, 84)
        case .Q3_K: block(256, 110)
        case .Q8_K: block(256, 292)
        case .IQ2_XXS: block(256, 66)
        case .IQ2_XS: block(256, 74)
        case .IQ3_XXS: block(256, 98)
        case .IQ1_S: block(256, 50)
        case .IQ4_NL: block(32, 18)
        case .IQ3_S: block(256, 110)
        case .IQ2_S: block(256, 82)
        case .IQ4_XS: block(256, 136)
        case .IQ1_M: block(256, 56)
        case .TQ1_0: block(256, 54)
        case .TQ2_0: block(256, 66)
        case .MXFP4: block(32, 17)
        case .NVFP4: block(64, 36)
        case .Q1_0: block(128, 18)
        }
    }

    private func block(_ elements: Int, _ bytes: Int, _ decoder: weight_encoding? = nil) -> StoredEncoding {
        StoredEncoding("\(self)", elementsPerBlock: elements, bytesPerBlock: bytes, decoder: decoder)
    }
}

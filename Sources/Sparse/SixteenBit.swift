import CKernels
import Tensors

/// Facts about 16-bit floating-point patterns that the formats share.
enum SixteenBit {
    /// -0.0 is a zero: both patterns have no bit set but, at most, the sign.
    @inline(__always)
    static func isZero(_ bits: UInt16) -> Bool { bits & 0x7FFF == 0 }

    /// The pattern whose magnitude bits, and all above it, mean infinity or NaN.
    static func exponentMask(of element: ElementType) -> UInt16 {
        switch element {
        case .f16: 0x7C00
        case .bf16: 0x7F80
        default: preconditionFailure("\(element) is not a 16-bit floating-point type")
        }
    }

    /// Index of the first NaN or infinity.
    static func firstNotFinite(in elements: UnsafeBufferPointer<UInt16>, element: ElementType) -> Int? {
        guard let address = elements.baseAddress else { return nil }
        let encoding = element == .f16 ? WEIGHT_F16 : WEIGHT_BF16
        let index = Int(first_nonfinite_weight(encoding, address, Int64(elements.count)))
        return index < elements.count ? index : nil
    }
}

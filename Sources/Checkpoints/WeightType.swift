import CKernels
public import Tensors

/// The types that weights can be read as.
public enum WeightType: String, Sendable, CaseIterable {
    case f32, f16, bf16

    public var elementType: ElementType {
        switch self {
        case .f32: .f32
        case .f16: .f16
        case .bf16: .bf16
        }
    }

    public var byteCount: Int { elementType.byteCount }

    /// The index of the first NaN or infinity in `elements`, which may lie at any address; nil if all are finite.
    /// - Precondition: `elements` are a whole number of this type's elements.
    /// - Complexity: O(bytes), at memory speed.
    public func firstNonFinite(in elements: UnsafeRawBufferPointer) -> Int? {
        precondition(elements.count % byteCount == 0)
        guard let address = elements.baseAddress else { return nil }
        let count = elements.count / byteCount
        let index = Int(first_nonfinite_weight(storedEncoding, address, Int64(count)))
        return index < count ? index : nil
    }

    /// Decodes `count` elements at `input` to `output`.
    /// - Returns: the index of the first result that is NaN or infinite; nil if all are finite.
    /// - Precondition: `count` is a whole number of blocks; `input` holds them and `output` has room for them.
    func decode(
        _ stored: weight_encoding, from input: UnsafeRawPointer, count: Int, to output: UnsafeMutableRawPointer
    ) -> Int? {
        let index =
            switch self {
            case .f32:
                decode_weights_f32(stored, input, Int64(count), output.assumingMemoryBound(to: Float.self))
            case .f16:
                decode_weights_f16(stored, input, Int64(count), output.assumingMemoryBound(to: UInt16.self))
            case .bf16:
                decode_weights_bf16(stored, input, Int64(count), output.assumingMemoryBound(to: UInt16.self))
            }
        return index < count ? Int(index) : nil
    }

    /// Float32 weights in this type, to nearest even.
    /// - Returns: the index of the first result that is NaN or infinite; nil if all are finite.
    /// - Precondition: `output` has exactly the room for them.
    public func narrow(_ values: UnsafeBufferPointer<Float>, into output: UnsafeMutableRawBufferPointer) -> Int? {
        precondition(output.count == values.count * byteCount)
        guard let input = values.baseAddress, let address = output.baseAddress else { return nil }
        return decode(WEIGHT_F32, from: input, count: values.count, to: address)
    }

    /// Stored weights in float32, exactly.
    /// - Returns: false if one of them is NaN or infinite, or there is not exactly the room for them.
    public func widen(_ bytes: Storage<UInt8>, into output: UnsafeMutableBufferPointer<Float>) -> Bool {
        guard bytes.count == output.count * byteCount, let address = output.baseAddress else { return false }
        return withExtendedLifetime(bytes) {
            WeightType.f32.decode(storedEncoding, from: $0.pointer, count: output.count, to: address) == nil
        }
    }

    /// What the decoder calls elements of this type.
    var storedEncoding: weight_encoding {
        switch self {
        case .f32: WEIGHT_F32
        case .f16: WEIGHT_F16
        case .bf16: WEIGHT_BF16
        }
    }
}

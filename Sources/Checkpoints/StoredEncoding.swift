import CKernels
public import Tensors

/// How a checkpoint stores the elements of one tensor: one by one or in blocks.
///
/// The files name more encodings than we decode. Such tensors can be listed, and their bytes can be mapped; reading
/// them as weights is refused by name.
public struct StoredEncoding: Sendable, Equatable {
    /// The file format's own word, such as "F16" or "Q4_1".
    public let name: String
    public let elementsPerBlock: Int
    public let bytesPerBlock: Int
    /// The type of the stored elements; nil where they are not stored one by one in a type that we have.
    public let elementType: ElementType?
    /// What the decoder calls it; nil if there is none.
    let decoder: weight_encoding?

    init(
        _ name: String, elementsPerBlock: Int = 1, bytesPerBlock: Int, elementType: ElementType? = nil,
        decoder: weight_encoding? = nil
    ) {
        self.name = name
        self.elementsPerBlock = elementsPerBlock
        self.bytesPerBlock = bytesPerBlock
        self.elementType = elementType
        self.decoder = decoder
    }

    /// Elements of `type`, stored one by one.
    init(_ type: ElementType) {
        let decoder: weight_encoding? =
            switch type {
            case .f32: WEIGHT_F32
            case .f16: WEIGHT_F16
            case .bf16: WEIGHT_BF16
            default: nil
            }
        self.init(
            type.rawValue.uppercased(), bytesPerBlock: type.byteCount, elementType: type, decoder: decoder)
    }

    public static func == (left: StoredEncoding, right: StoredEncoding) -> Bool {
        left.name == right.name && left.elementsPerBlock == right.elementsPerBlock
            && left.bytesPerBlock == right.bytesPerBlock
    }

    /// Whether ``Checkpoint/read(_:rows:as:into:)`` decodes it.
    public var isReadable: Bool { decoder != nil }

    /// Bytes that `elementCount` elements take; nil if they are no whole number of blocks or overflow.
    func byteCount(elementCount: Int) -> Int? {
        guard elementCount % elementsPerBlock == 0 else { return nil }
        let (bytes, overflow) = (elementCount / elementsPerBlock).multipliedReportingOverflow(by: bytesPerBlock)
        return overflow ? nil : bytes
    }
}

/// The product of `dimensions`, 1 for none; nil if the product of some of them overflows, even where a zero among the
/// others hides it: whoever multiplies a part of a shape, such as the columns, need not check again.
func overflowSafeProduct(_ dimensions: [Int]) -> Int? {
    var product = 1
    for dimension in dimensions where dimension != 0 {
        let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
        guard !overflow else { return nil }
        product = next
    }
    return dimensions.contains(0) ? 0 : product
}

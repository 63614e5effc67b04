import CKernels

/// The values that weights of few bits can have: integers times a scale for each group of columns of a row.
///
/// Weights that have such values are packed as integers with nothing lost: ``QuantizedMatrix`` finds the same scales.
/// They are exact in f16, too: scales have so few bits that products with the integers have at most 11.
public struct ValueGrid: Sendable, Equatable {
    /// i8 or i4.
    public let coding: QuantizedCoding
    public let group: ScaleGroup

    public init(coding: QuantizedCoding, group: ScaleGroup) {
        precondition(coding != .i16, "16-bit integers round nothing worth speaking of")
        self.coding = coding
        self.group = group
    }

    /// Columns that share a scale in a row of so many.
    public func groupColumns(inRowOf columns: Int) -> Int { group.columnCount(inRowOf: columns) }

    /// What a group's integers are multiplied by so that they come near the weights; negative where the integer that
    /// has no counterpart, -8, is to be positive.
    /// - Parameter weights: finite; zeros cost nothing and are exact.
    /// - Complexity: O(weights), some dozen times.
    public func scale(of weights: UnsafeBufferPointer<Float>, kernels: Kernels = .best) -> Float {
        // Kernels read whole vectors.
        let stride = (weights.count + Self.lanes - 1) / Self.lanes * Self.lanes
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: stride) { padded in
            padded.initialize(repeating: 0)
            _ = padded.update(fromContentsOf: weights)
            var bits: UInt16 = 0
            kernels.table.fit_scales(padded.baseAddress, Int64(stride), Int64(stride), coding.kernelCoding, &bits)
            // Eight bits times seven are too many for f16. Away from zero, so that nothing is cut off.
            if coding == .i8 { bits = (((bits & 0x7FFF) &+ 0xF) & ~0xF) | (bits & 0x8000) }
            return Float(bitPattern: UInt32(bits) << 16)
        }
    }

    /// The value of the grid that is nearest.
    public func nearest(_ weight: Float, scale: Float) -> Float {
        if scale == 0 { return 0 }
        let integer = (weight / scale).rounded(.toNearestOrEven)
        return min(max(integer, coding == .i8 ? -127 : -8), coding == .i8 ? 127 : 7) * scale
    }

    private static let lanes = 64
}

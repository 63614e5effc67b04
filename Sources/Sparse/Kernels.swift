public import CKernels

/// The CPU kernels of one instruction set.
public struct Kernels: @unchecked Sendable {
    /// An immutable table that lives as long as the process.
    public let table: flash_kernels

    /// "avx512", "avx2" or "portable".
    public var instructionSet: String { String(cString: table.name) }

    /// Bytes of scratch memory that each thread lends to a product.
    public static let scratchByteCount = Int(FLASH_SCRATCH_BYTES)

    /// The best kernels this processor can run.
    public static let best = Kernels(table: flash_kernels_select(nil).pointee)

    /// Every instruction set there is; a processor has some of them.
    public static let instructionSets = ["avx512", "avx2", "portable"]

    /// The kernels of the named instruction set; nil if it is unknown or this processor lacks it.
    public init?(instructionSet name: String) {
        guard let table = flash_kernels_select(name) else { return nil }
        self.table = table.pointee
    }

    private init(table: flash_kernels) { self.table = table }
}

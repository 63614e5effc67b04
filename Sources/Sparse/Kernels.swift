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

    /// Elements of an input `[tokens, columns]` by columns: whole blocks of tokens.
    public func transposedCount(tokens: Int, columns: Int) -> Int {
        let block = Int(table.skip_tokens)
        return (tokens + block - 1) / block * block * columns
    }

    /// One block of an input by columns: tokens from `block * transposedBlockTokens` on.
    public var transposedBlockTokens: Int { Int(table.skip_tokens) }

    /// Writes one block of `[tokens, columns]` activations by columns, `[columns, transposedBlockTokens]`, to its place
    /// in `output`; blocks are independent of each other.
    /// - Parameters:
    ///   - output: ``transposedCount(tokens:columns:)`` elements.
    /// - Complexity: O(columns * transposedBlockTokens).
    public func transpose(
        block: Int, of input: UnsafePointer<Float>, inputStride: Int, tokens: Int, columns: Int,
        into output: UnsafeMutablePointer<Float>
    ) {
        let first = block * transposedBlockTokens
        precondition(first >= 0 && first < tokens)
        table.transpose(
            input + first * inputStride, Int64(inputStride), Int64(min(tokens - first, transposedBlockTokens)),
            Int64(columns), output + first * columns)
    }

    private init(table: flash_kernels) { self.table = table }
}

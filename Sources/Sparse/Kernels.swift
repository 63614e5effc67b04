public import CKernels

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The CPU kernels of one instruction set.
public struct Kernels: @unchecked Sendable {
    /// An immutable table that lives as long as the process. Inlinable, so that of its dozens of entries only those
    /// that are used are read.
    @inlinable public var table: flash_kernels { address.pointee }
    @usableFromInline let address: UnsafePointer<flash_kernels>

    /// One of ``instructionSets``.
    public var instructionSet: String { String(cString: table.name) }

    /// Bytes of scratch memory that each thread lends to a product.
    public static let scratchByteCount = Int(FLASH_SCRATCH_BYTES)

    /// The best kernels that this processor can run, or those that ``environmentVariable`` names. Chosen once.
    ///
    /// A name that the processor lacks counts nothing here; a program refuses it with ``checkEnvironment()``.
    public static let best = (try? environmentChoice.get()) ?? Kernels(table: flash_kernels_select(nil))

    /// Every instruction set there is, the best first; a processor has some of them.
    public static let instructionSets = ["avx512", "avx2", "neon-dotprod", "neon", "portable"]

    /// The kernels that this processor can run, the best first.
    public static var available: [Kernels] { instructionSets.compactMap { Kernels(instructionSet: $0) } }

    /// The environment variable that names the instruction set of ``best``. Empty counts as unset.
    public static let environmentVariable = "FLASH_LLM_ISA"

    /// What the environment asks for when it is first looked at; nil if it asks for nothing.
    private static let environmentChoice: Result<Kernels?, InstructionSetError> = Result {
        () throws(InstructionSetError) in
        guard let value = getenv(environmentVariable), value.pointee != 0 else { return nil }
        return try Kernels(named: String(cString: value), by: environmentVariable)
    }

    /// - Throws: If the environment names an instruction set that this processor lacks, or none at all.
    public static func checkEnvironment() throws(InstructionSetError) { _ = try environmentChoice.get() }

    /// The kernels of the named instruction set; nil if it is unknown or this processor lacks it.
    public init?(instructionSet name: String) {
        guard let table = flash_kernels_select(name) else { return nil }
        address = table
    }

    /// The kernels of the named instruction set.
    /// - Parameter source: who names it, an option or a variable: errors begin with it.
    /// - Throws: If it is unknown or this processor lacks it.
    public init(named name: String, by source: String) throws(InstructionSetError) {
        guard let kernels = Kernels(instructionSet: name) else {
            throw InstructionSetError(
                source: source, name: name, available: Kernels.available.map(\.instructionSet))
        }
        self = kernels
    }

    /// A table of kernels from elsewhere; one that lives as long as the process.
    public init(table: UnsafePointer<flash_kernels>) { address = table }

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
}

/// An instruction set that this processor lacks, or that does not exist.
public struct InstructionSetError: Error, Equatable, CustomStringConvertible {
    /// Who named it: an option or an environment variable.
    public let source: String
    public let name: String
    /// Those this processor has.
    public let available: [String]

    public var description: String {
        "\(source) must be one of \(available.joined(separator: ", ")), which this processor has, found '\(name)'"
    }
}

public import Tensors

/// Why a matrix cannot be encoded into a sparse format, or why stored arrays are not a matrix in it.
///
/// The matrix's name is not known here: whoever reads or packs named tensors puts it in front.
public enum SparseError: Error, Equatable, CustomStringConvertible {
    /// A side is zero, negative, or longer than a 32-bit index reaches.
    case invalidShape(rows: Int, columns: Int)
    /// The format stores 16-bit floating-point values only.
    case unsupportedValueType(ElementType)
    /// The format does not store integers.
    case unsupportedIntegers(PackedFormat, QuantizedCoding)
    /// An array has another number of elements than the shape, or another array, asks for.
    case wrongElementCount(array: String, expected: Int, found: Int)
    /// A file has another size than the shape, or another file, asks for.
    case wrongFileSize(path: String, expectedByteCount: Int, foundByteCount: Int)
    /// NaN or infinity at this place of the dense matrix.
    case notFinite(row: Int, column: Int)
    /// The matrix has more stored elements than the format's 32-bit offsets or file sizes can count.
    case tooManyStoredElements(limit: Int, found: Int)
    /// A tile offset that no encoder writes; `expected` says what would be right there.
    case invalidTileOffset(index: Int, expected: String, found: Int)
    /// A stored word that no encoder writes, at `index` of the array of words.
    case invalidEntry(index: Int, EntryFault)
    /// An array that breaks an invariant of its format; the sentence says which and how.
    case brokenInvariant(String)
    /// The operating system refused a file.
    case file(FileError)

    /// What is wrong with one stored word.
    public enum EntryFault: Equatable, Sendable {
        /// The position is not one of the tile's.
        case positionOutsideTile(position: Int, limit: Int)
        /// A nonzero value in the padding around the matrix.
        case outsideMatrix(row: Int, column: Int)
        /// NaN or infinity.
        case notFinite(row: Int, column: Int)
        /// Another nonzero value is stored for the same element.
        case repeated(row: Int, column: Int)
    }

    public var description: String {
        switch self {
        case .invalidShape(let rows, let columns):
            "a matrix of \(rows) x \(columns) elements has no sparse form: each side must be 1 to \(Int32.max)"
        case .unsupportedValueType(let type):
            "values of type \(type) cannot be stored: expected f16 or bf16"
        case .unsupportedIntegers(let format, let coding):
            "values of type \(coding) cannot be stored as \(format.rawValue): expected f16 or bf16"
        case .wrongElementCount(let array, let expected, let found):
            "\(array) has \(found) elements, expected \(expected)"
        case .wrongFileSize(let path, let expected, let found):
            "\(path) has \(found) bytes, expected \(expected)"
        case .notFinite(let row, let column):
            "the element at row \(row), column \(column) is NaN or infinite, expected finite values"
        case .tooManyStoredElements(let limit, let found):
            "the matrix has \(found) stored elements, expected at most \(limit)"
        case .invalidTileOffset(let index, let expected, let found):
            "tile offset \(index) is \(found), expected \(expected)"
        case .invalidEntry(let index, let fault):
            "stored word \(index) \(fault)"
        case .brokenInvariant(let sentence):
            sentence
        case .file(let error):
            error.description
        }
    }
}

extension SparseError.EntryFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .positionOutsideTile(let position, let limit):
            "has position \(position), expected 0 to \(limit - 1)"
        case .outsideMatrix(let row, let column):
            "holds a nonzero value for row \(row), column \(column), which is outside the matrix"
        case .notFinite(let row, let column):
            "holds NaN or infinity for row \(row), column \(column), expected a finite value"
        case .repeated(let row, let column):
            "is for row \(row), column \(column), which another word already holds"
        }
    }
}

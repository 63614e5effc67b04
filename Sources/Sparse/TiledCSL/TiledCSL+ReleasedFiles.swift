#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

import Tensors

extension TiledCSL {
    /// The files in which the code released with Flash-LLM keeps one matrix. All numbers are little-endian.
    ///
    ///     .NZWeights.bin     UInt32 [words]           the stored words
    ///     .TileOffsets.bin   Int32 [tiles + 2]        where each tile begins, in vectors of four words
    ///     .OutputSizes.bin   Int32 [2]                the number of words and of tile offsets
    ///
    /// The shape is in none of them. Source: the released code's `GenSparseMatrixBinFile` and its model converter.
    public struct ReleasedFiles: Equatable, Sendable {
        public let wordsPath: String
        public let tileOffsetsPath: String
        public let sizesPath: String

        /// The files of the matrix whose dense form would be `prefix.bin`.
        public init(prefix: String) {
            wordsPath = prefix + ".NZWeights.bin"
            tileOffsetsPath = prefix + ".TileOffsets.bin"
            sizesPath = prefix + ".OutputSizes.bin"
        }
    }

    /// Reads an f16 matrix that the released encoder, or ``write(to:)``, has written. The files are mapped, not copied.
    ///
    /// Only the words and the tile offsets are read: the sizes follow from them.
    /// - Parameters:
    ///   - rows, columns: sides of the matrix, with or without the zeros that pad it to multiples of 128 and 64.
    /// - Throws: `SparseError` if a file cannot be read, has a size that does not fit the shape or the other file, or
    ///   breaks an invariant of the format.
    /// - Complexity: O(stored words + tiles).
    public init(reading files: ReleasedFiles, rows: Int, columns: Int) throws(SparseError) {
        let shape = try TiledCSLShape(rows: rows, columns: columns)
        let offsets: Storage<Int32> = try Self.map(
            files.tileOffsetsPath, expectedByteCount: shape.tileOffsetCount * MemoryLayout<Int32>.size)
        let wordCount = try Self.wordCount(tileOffsets: offsets, shape: shape)
        let words: Storage<UInt32> = try Self.map(
            files.wordsPath, expectedByteCount: wordCount * MemoryLayout<UInt32>.size)
        try self.init(rows: rows, columns: columns, words: words, tileOffsets: offsets, valueType: .f16)
    }

    /// Writes the three files of the released code. Each appears whole under its name or not at all; one that is there
    /// is replaced.
    ///
    /// The released kernels ask for rows that are a multiple of 256 and columns that are a multiple of 64; other shapes
    /// are written with their padding.
    /// - Throws: `SparseError` if values are not f16, there are 2^31 words or more, or a file cannot be written.
    public func write(to files: ReleasedFiles) throws(SparseError) {
        guard valueType == .f16 else { throw .unsupportedValueType(valueType) }
        guard let wordCount = Int32(exactly: words.count) else {
            throw .tooManyStoredElements(limit: Int(Int32.max), found: words.count)
        }
        let sizes = Storage<Int32>([wordCount, Int32(tileOffsets.count)])
        let parts = [
            (files.wordsPath, words.bytes), (files.tileOffsetsPath, tileOffsets.bytes), (files.sizesPath, sizes.bytes),
        ]
        do {
            var pending: [PendingFile] = []
            for (path, bytes) in parts { pending.append(try PendingFile(path: path, bytes: bytes.buffer)) }
            for file in pending { try file.commit() }
        } catch {
            throw .file(error)
        }
    }

    /// Maps a file of little-endian 32-bit numbers.
    private static func map<Element: BitwiseCopyable>(
        _ path: String, expectedByteCount: Int
    ) throws(SparseError) -> Storage<Element> {
        let file: MappedFile
        do { file = try MappedFile(path: path) } catch { throw .file(error) }
        guard file.byteCount == expectedByteCount, let elements = file.bytes.reinterpreted(as: Element.self) else {
            throw .wrongFileSize(path: path, expectedByteCount: expectedByteCount, foundByteCount: file.byteCount)
        }
        return elements
    }
}

/// A file that is written under another name until ``commit()``, and removed if that never comes.
private final class PendingFile {
    private let path: String
    private let temporaryPath: String
    private var isCommitted = false

    init(path: String, bytes: UnsafeBufferPointer<UInt8>) throws(FileError) {
        self.path = path
        temporaryPath = "\(path).\(UInt32.random(in: 0...UInt32.max)).partial"
        let descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            isCommitted = true  // nothing to remove
            throw .current("create", path)
        }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = Self.writeOnce(descriptor, UnsafeRawBufferPointer(bytes)[written...])
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .current("write", path) }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw .current("write", path) }
    }

    func commit() throws(FileError) {
        guard rename(temporaryPath, path) == 0 else { throw .current("rename a temporary file to", path) }
        isCommitted = true
    }

    deinit {
        if !isCommitted { unlink(temporaryPath) }
    }

    private static func writeOnce(_ descriptor: Int32, _ bytes: Slice<UnsafeRawBufferPointer>) -> Int {
        let rest = UnsafeRawBufferPointer(rebasing: bytes)
        return write(descriptor, rest.baseAddress, rest.count)
    }
}

import Foundation
import Sparse
import Tensors
import TestSupport
import Testing

@Suite struct TiledCSLFileTests {
    /// Gives `body` an empty directory that is removed afterwards.
    private func withDirectory<Result>(_ body: (URL) throws -> Result) throws -> Result {
        let name = "TiledCSLFileTests-\(UInt64.random(in: 0...UInt64.max))"
        let directory = FileManager.default.temporaryDirectory.appending(path: name)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        return try body(directory)
    }

    private func put(_ words: [UInt8], _ tileOffsets: [UInt8], in directory: URL) throws -> TiledCSL.ReleasedFiles {
        let files = TiledCSL.ReleasedFiles(prefix: directory.appending(path: "matrix").path)
        try Data(words).write(to: URL(filePath: files.wordsPath))
        try Data(tileOffsets).write(to: URL(filePath: files.tileOffsetsPath))
        return files
    }

    @Test func readsWhatTheReleasedCodeWrote() throws {
        try withDirectory { directory in
            let files = try put(ReleasedFilesFixture.words, ReleasedFilesFixture.tileOffsets, in: directory)
            let matrix = try TiledCSL(reading: files, rows: 128, columns: 128)
            #expect(matrix.dense() == ReleasedFilesFixture.matrix.elements().withoutNegativeZeros)
        }
    }

    @Test func writesWhatTheReleasedCodeWrote() throws {
        try withDirectory { directory in
            let random = ReleasedFilesFixture.matrix
            let matrix = try TiledCSL(
                rows: random.rows, columns: random.columns, elements: Storage(random.elements()), valueType: .f16)
            let files = TiledCSL.ReleasedFiles(prefix: directory.appending(path: "out").path)
            for _ in 0..<2 { try matrix.write(to: files) }  // the second time over the first
            #expect(try [UInt8](Data(contentsOf: URL(filePath: files.wordsPath))) == ReleasedFilesFixture.words)
            #expect(
                try [UInt8](Data(contentsOf: URL(filePath: files.tileOffsetsPath)))
                    == ReleasedFilesFixture.tileOffsets)
            #expect(try [UInt8](Data(contentsOf: URL(filePath: files.sizesPath))) == ReleasedFilesFixture.sizes)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).count == 3)
        }
    }

    @Test func readsBackAnyShape() throws {
        try withDirectory { directory in
            let cases: [(rows: Int, columns: Int, densityPercent: UInt64)] = [
                (1, 1, 0), (1, 1, 100), (130, 65, 50), (7, 300, 20),
            ]
            for (rows, columns, densityPercent) in cases {
                let random = RandomMatrix(rows: rows, columns: columns, densityPercent: densityPercent, seed: 3)
                let elements = random.elements()
                let matrix = try TiledCSL(
                    rows: rows, columns: columns, elements: Storage(elements), valueType: .f16)
                let files = TiledCSL.ReleasedFiles(prefix: directory.appending(path: "out").path)
                try matrix.write(to: files)
                let read = try TiledCSL(reading: files, rows: rows, columns: columns)
                #expect(read.dense() == elements.withoutNegativeZeros)
            }
        }
    }

    @Test func refusesTruncatedAndOverlongFiles() throws {
        let words = ReleasedFilesFixture.words
        let offsets = ReleasedFilesFixture.tileOffsets
        try withDirectory { directory in
            for count in Array(0..<offsets.count) + [offsets.count + 1, offsets.count + 4] {
                let files = try put(words, Array((offsets + offsets).prefix(count)), in: directory)
                #expect(
                    throws: SparseError.wrongFileSize(
                        path: files.tileOffsetsPath, expectedByteCount: 16, foundByteCount: count)
                ) { try TiledCSL(reading: files, rows: 128, columns: 128) }
            }
            for count in [0, 1, 2, 3, 4, 16, words.count - 16, words.count - 1, words.count + 1, words.count + 4] {
                let files = try put(Array((words + words).prefix(count)), offsets, in: directory)
                #expect(
                    throws: SparseError.wrongFileSize(
                        path: files.wordsPath, expectedByteCount: words.count, foundByteCount: count)
                ) { try TiledCSL(reading: files, rows: 128, columns: 128) }
            }
        }
    }

    @Test func refusesFilesOfAnotherShape() throws {
        try withDirectory { directory in
            let files = try put(ReleasedFilesFixture.words, ReleasedFilesFixture.tileOffsets, in: directory)
            for (rows, columns) in [(128, 64), (256, 128), (127, 128), (0, 0), (Int.max, Int.max)] {
                #expect(throws: SparseError.self) { try TiledCSL(reading: files, rows: rows, columns: columns) }
            }
        }
    }

    @Test func survivesAlteredBytes() throws {
        var random = SplitMix64(seed: 11)
        try withDirectory { directory in
            for _ in 0..<300 {
                var arrays = [ReleasedFilesFixture.words, ReleasedFilesFixture.tileOffsets]
                for _ in 0...random.next() % 3 {
                    let array = Int.random(in: 0...1, using: &random)
                    let index = Int.random(in: arrays[array].indices, using: &random)
                    arrays[array][index] = UInt8.random(in: 0...255, using: &random)
                }
                let files = try put(arrays[0], arrays[1], in: directory)
                if let matrix = try? TiledCSL(reading: files, rows: 128, columns: 128) {
                    try matrix.checkInvariants()
                    _ = matrix.dense()
                }
            }
        }
    }

    @Test func namesAMissingFile() throws {
        try withDirectory { directory in
            let files = TiledCSL.ReleasedFiles(prefix: directory.appending(path: "nothing").path)
            let error = #expect(throws: SparseError.self) { try TiledCSL(reading: files, rows: 1, columns: 1) }
            #expect(error?.description.contains("nothing.TileOffsets.bin") == true)
        }
    }

    @Test func leavesNothingHalfWritten() throws {
        let matrix = try TiledCSL(rows: 1, columns: 1, elements: Storage([1]), valueType: .f16)
        try withDirectory { directory in
            let missing = TiledCSL.ReleasedFiles(prefix: directory.appending(path: "missing/out").path)
            #expect(throws: SparseError.self) { try matrix.write(to: missing) }
            let files = TiledCSL.ReleasedFiles(prefix: directory.appending(path: "out").path)
            try FileManager.default.createDirectory(atPath: files.wordsPath, withIntermediateDirectories: true)
            #expect(throws: SparseError.self) { try matrix.write(to: files) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["out.NZWeights.bin"])
        }
    }

    @Test func writesOnlyF16() throws {
        let matrix = try TiledCSL(rows: 1, columns: 1, elements: Storage([1]), valueType: .bf16)
        #expect(throws: SparseError.unsupportedValueType(.bf16)) {
            try matrix.write(to: TiledCSL.ReleasedFiles(prefix: "/nonexistent/out"))
        }
    }
}

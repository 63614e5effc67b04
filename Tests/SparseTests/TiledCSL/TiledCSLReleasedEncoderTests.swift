import Sparse
import Tensors
import Testing

/// Word for word what the encoder released with Flash-LLM writes.
@Suite struct TiledCSLReleasedEncoderTests {
    @Test(arguments: ReleasedEncoderTable.rows)
    func encodesLikeTheReleasedEncoder(row: ReleasedEncoderTable.Row) throws {
        let random = row.matrix
        let matrix = try TiledCSL(
            rows: random.rows, columns: random.columns, elements: Storage(random.elements()), valueType: .f16)
        #expect(matrix.words.count == row.wordCount)
        #expect(hash(matrix.words.buffer) == row.wordsHash)
        #expect(hash(matrix.tileOffsets.buffer) == row.tileOffsetsHash)
    }

    @Test func encodesTheReleasedFilesMatrix() throws {
        let random = ReleasedFilesFixture.matrix
        let matrix = try TiledCSL(
            rows: random.rows, columns: random.columns, elements: Storage(random.elements()), valueType: .f16)
        #expect(Array(matrix.words.bytes.buffer) == ReleasedFilesFixture.words)
        #expect(Array(matrix.tileOffsets.bytes.buffer) == ReleasedFilesFixture.tileOffsets)
    }
}

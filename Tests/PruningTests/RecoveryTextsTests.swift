@testable import Pruning
import Testing

/// What a recovery learns from and what it holds out.
@Suite struct RecoveryTextsTests {
    /// Each sequence is its number, over and over.
    private func texts(_ count: Int, length: Int) throws -> RecoveryTexts {
        let sequences = (0..<count).map { [Int32](repeating: Int32($0), count: length) }
        return try RecoveryTexts(CalibrationTokens(sequences: sequences, vocabularySize: count))
    }

    private func numbers(_ batch: [[Int32]]) -> [Int32] { batch.map { $0[0] } }

    @Test(arguments: [2, 64, 128, 512, 1024, 4096]) func learnsNothingTwiceIfThereIsEnough(length: Int) throws {
        let count = RecoveryTexts.count(steps: 5, length: length)
        let texts = try texts(count, length: length)
        #expect(texts.perStep == max(1024 / length, 1))
        let learnt = (0..<5).flatMap { numbers(texts.batch(ofStep: $0)) }
        let heldOut = texts.heldOut.flatMap(numbers)
        #expect(learnt + heldOut == (0..<Int32(count)).map(\.self))
        #expect(texts.heldOut.allSatisfy { $0.count == texts.perStep })
        #expect(texts.batch(ofStep: 5) == texts.batch(ofStep: 0))
    }

    @Test func sharesFewTexts() throws {
        let texts = try texts(10, length: 24)
        #expect(texts.perStep == 3)
        #expect(numbers(texts.batch(ofStep: 1)) == [3, 0, 1])
        #expect(texts.heldOut.map(numbers) == [[4, 5, 6], [7, 8, 9]])
        let least = try self.texts(3, length: 24)
        #expect(numbers(least.batch(ofStep: 7)) == [0] && least.heldOut.map(numbers) == [[1], [2]])
        #expect(throws: PruningError.self) { try self.texts(2, length: 24) }
    }

    @Test func countsSequencesByTheirTokens() throws {
        let tokens = try CalibrationTokens(sequences: [[1, 2, 3], [4, 5, 6], [7, 8, 9]], vocabularySize: 10)
        #expect(tokens.prefix(tokens: 6).sequences == [[1, 2, 3], [4, 5, 6]])
        #expect(Array(tokens.suffix(tokens: 8)) == [[4, 5, 6], [7, 8, 9]])
        // One at least, and no more than there are.
        #expect(tokens.prefix(tokens: 2).sequences == [[1, 2, 3]] && tokens.suffix(tokens: 0).count == 1)
        #expect(tokens.prefix(tokens: 100) == tokens && tokens.suffix(tokens: 100).count == 3)
    }

    @Test func minutesAskForAsManyTextsAsTheyMayTake() {
        #expect(RecoveryLength.steps(24).sequenceCount(ofLength: 128) == 26 * 8)
        #expect(RecoveryLength.minutes(0.1).sequenceCount(ofLength: 128) == 8 * 8)
        #expect(RecoveryLength.minutes(1e6).sequenceCount(ofLength: 512) == 152 * 2)
    }
}

import Checkpoints
public import OrderedJSON

/// The tokens on which a model's activations are looked at: sequences of one length, each read by itself.
public struct CalibrationTokens: Sendable, Equatable {
    public let length: Int
    public let sequences: [[Int32]]

    public static let sequenceLimit = 1 << 16
    public static let lengthLimit = 1 << 16

    /// - Throws: `PruningError` if there are none, lengths differ, or a token is outside the vocabulary.
    public init(sequences: [[Int32]], vocabularySize: Int) throws(PruningError) {
        guard let length = sequences.first?.count, length >= 2, length <= Self.lengthLimit,
            sequences.count <= Self.sequenceLimit
        else {
            throw PruningError(
                "the calibration tokens", expected: "1...\(Self.sequenceLimit) sequences of 2...\(Self.lengthLimit)",
                found: "\(sequences.count) of \(sequences.first?.count ?? 0)")
        }
        for (index, sequence) in sequences.enumerated() {
            guard sequence.count == length else {
                throw PruningError(
                    "sequence \(index) of the calibration tokens", expected: "\(length) tokens, as the first has",
                    found: "\(sequence.count)")
            }
            if let token = sequence.first(where: { $0 < 0 || $0 >= vocabularySize }) {
                throw PruningError(
                    "sequence \(index) of the calibration tokens", expected: "tokens in 0..<\(vocabularySize)",
                    found: "\(token)")
            }
        }
        self.length = length
        self.sequences = sequences
    }

    /// Reads `{"sequences": [[1, 2, ...], ...]}`.
    public init(_ json: JSON, vocabularySize: Int) throws(PruningError) {
        var sequences: [[Int32]] = []
        for (index, entry) in (json["sequences"]?.arrayValue ?? []).enumerated() {
            let tokens = entry.arrayValue?.map { $0.intValue.flatMap { Int32(exactly: $0) } }
            guard let tokens, !tokens.contains(nil) else {
                throw PruningError(
                    "sequence \(index) of the calibration tokens", expected: "an array of token ids",
                    found: String(entry.text().prefix(40)))
            }
            sequences.append(tokens.compactMap(\.self))
        }
        try self.init(sequences: sequences, vocabularySize: vocabularySize)
    }

    public var json: JSON {
        ["sequences": .array(sequences.map { .array($0.map { .integer(Int($0)) }) })]
    }

    /// How many sequences of `length` tokens have no more than `tokens` in all: at least one.
    public static func sequenceCount(tokens: Int, length: Int) -> Int { max(tokens / length, 1) }

    /// The first sequences, as many as have `tokens` tokens.
    func prefix(tokens: Int) -> CalibrationTokens {
        let count = Self.sequenceCount(tokens: tokens, length: length)
        return CalibrationTokens(Array(sequences.prefix(count)), length: length)
    }

    /// The last ones.
    func suffix(tokens: Int) -> ArraySlice<[Int32]> {
        sequences.suffix(Self.sequenceCount(tokens: tokens, length: length))
    }

    private init(_ sequences: [[Int32]], length: Int) {
        self.sequences = sequences
        self.length = length
    }

    public var tokenCount: Int { sequences.count * length }

    /// Which tokens these are.
    public var checksum: UInt32 {
        var checksum = CRC32C()
        for sequence in sequences { sequence.withUnsafeBytes { checksum.update($0) } }
        return checksum.checksum
    }
}

/// Finds stop strings in a text that arrives in pieces, and passes on what certainly comes before one.
///
/// A piece is passed on up to where a stop string may have begun; the rest is held back until the next pieces decide.
/// The match that ends first wins, and of those that end at the same byte the longest; the text from its beginning on
/// is dropped. So what comes out does not depend on how the text was cut into pieces.
///
/// Strings are compared by their UTF-8 bytes: "é" as one and as two scalars differ. A character is never cut: what is
/// held back begins like a stop string, hence at the first byte of a scalar.
public struct StopMatcher: Sendable {
    /// What one piece led to.
    public struct Output: Sendable, Equatable {
        /// Text to pass on; often empty.
        public let text: String
        /// The stop string that ended the text, or nil while it goes on.
        public let match: String?
    }

    private let stops: StopStrings
    /// Bytes of each stop string with which the text so far ends, `[stops.strings.count]`.
    private var matched: [Int]
    /// UTF-8 that was fed but not passed on. It always has as many bytes as the largest number in ``matched``.
    private var held: [UInt8] = []
    /// Whether a stop string was found, or the text was finished.
    public private(set) var isFinished = false

    public init(_ stops: StopStrings) {
        self.stops = stops
        matched = Array(repeating: 0, count: stops.strings.count)
    }

    /// Takes the next piece of the text. After the end, everything is dropped.
    /// - Complexity: O(bytes x stop strings).
    public mutating func feed(_ piece: String) -> Output {
        if isFinished { return Output(text: "", match: nil) }
        if matched.isEmpty { return Output(text: piece, match: nil) }
        var text = held
        for byte in piece.utf8 {
            text.append(byte)
            if let match = advance(by: byte) {
                isFinished = true
                held = []
                text.removeLast(stops.patterns[match].bytes.count)
                return Output(text: String(decoding: text, as: UTF8.self), match: stops.strings[match])
            }
        }
        let heldCount = matched.max() ?? 0
        held = Array(text.suffix(heldCount))
        text.removeLast(heldCount)
        return Output(text: String(decoding: text, as: UTF8.self), match: nil)
    }

    /// Ends the text where no stop string ended it, and returns what was held back.
    public mutating func finish() -> String {
        isFinished = true
        defer { held = [] }
        return String(decoding: held, as: UTF8.self)
    }

    /// Adds a byte to the text; the number of the stop string that is then complete, the longest if there are several.
    private mutating func advance(by byte: UInt8) -> Int? {
        var match: Int?
        for index in matched.indices {
            let pattern = stops.patterns[index]
            matched[index] = pattern.advanced(matched[index], by: byte)
            guard matched[index] == pattern.bytes.count else { continue }
            if match.map({ matched[index] > matched[$0] }) ?? true { match = index }
        }
        return match
    }
}

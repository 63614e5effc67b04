/// The strings at which a text ends, checked and prepared for searching.
public struct StopStrings: Sendable, Equatable {
    /// OpenAI allows 4; vLLM sets no limit. Every byte of text is compared with every string.
    public static let countLimit = 32
    /// UTF-8 bytes of one string. Up to that many bytes of text are held back.
    public static let byteLimit = 1024

    public static let none = try! StopStrings([])

    public let strings: [String]
    let patterns: [Pattern]

    /// - Throws: `StopStringError` if a string is empty or too long, or there are too many.
    public init(_ strings: [String]) throws(StopStringError) {
        guard strings.count <= Self.countLimit else {
            throw .tooMany(count: strings.count, limit: Self.countLimit)
        }
        for (index, string) in strings.enumerated() {
            let byteCount = string.utf8.count
            guard byteCount > 0 else { throw .empty(index: index) }
            guard byteCount <= Self.byteLimit else {
                throw .tooLong(index: index, byteCount: byteCount, limit: Self.byteLimit)
            }
        }
        self.strings = strings
        patterns = strings.map { Pattern(Array($0.utf8)) }
    }

    public static func == (left: StopStrings, right: StopStrings) -> Bool { left.strings == right.strings }
}

extension StopStrings {
    /// One stop string with its failure table, for a search that never looks back in the text.
    ///
    /// Source: Knuth, Morris, Pratt, "Fast pattern matching in strings", SIAM Journal on Computing 6, 1977.
    struct Pattern: Sendable {
        let bytes: [UInt8]
        /// `borders[n]`: length of the longest proper beginning of the first `n` bytes that is also their end,
        /// `[bytes.count + 1]`.
        private let borders: [Int]

        /// - Precondition: there is at least one byte.
        init(_ bytes: [UInt8]) {
            precondition(!bytes.isEmpty)
            var borders = [0, 0]
            borders.reserveCapacity(bytes.count + 1)
            for index in bytes.indices.dropFirst() {
                var border = borders[index]
                while border > 0 && bytes[border] != bytes[index] { border = borders[border] }
                borders.append(bytes[border] == bytes[index] ? border + 1 : 0)
            }
            self.bytes = bytes
            self.borders = borders
        }

        /// The longest beginning of the pattern with which a text ends after `byte`, if it was `matched` bytes before.
        /// - Precondition: `0 <= matched < bytes.count`; the search is over when all bytes have matched.
        /// - Complexity: amortised O(1).
        func advanced(_ matched: Int, by byte: UInt8) -> Int {
            var matched = matched
            while matched > 0 && bytes[matched] != byte { matched = borders[matched] }
            return bytes[matched] == byte ? matched + 1 : 0
        }
    }
}

/// Stop strings that cannot be searched for.
public enum StopStringError: Error, Equatable, CustomStringConvertible {
    case empty(index: Int)
    case tooLong(index: Int, byteCount: Int, limit: Int)
    case tooMany(count: Int, limit: Int)

    public var description: String {
        switch self {
        case .empty(let index): "stop string \(index + 1) is empty"
        case .tooLong(let index, let byteCount, let limit):
            "stop string \(index + 1) must have at most \(limit) bytes of UTF-8, but has \(byteCount)"
        case .tooMany(let count, let limit): "there must be at most \(limit) stop strings, but there are \(count)"
        }
    }
}

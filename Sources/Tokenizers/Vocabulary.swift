/// The tokens of a vocabulary: id to bytes and back.
///
/// All tokens' bytes lie in one array, so that a vocabulary of 49,152 tokens takes about one megabyte rather than
/// 49,152 small allocations, and looking a piece of text up needs no `String`.
struct Vocabulary: Sendable {
    /// More tokens than this are refused; the largest published vocabularies have about a quarter of a million.
    static let maximumCount = 4_000_000
    /// More bytes than this in one token are refused.
    static let maximumTokenByteCount = 1 << 16

    /// How the vocabulary's file writes tokens.
    enum Spelling: Sendable {
        /// In ``ByteAlphabet``.
        case byteLevel
        /// As they are; `<0x0A>` and the like are bytes that texts fall back to.
        case plain
    }

    /// How a token's text is to be read.
    private enum Form: UInt8 {
        /// No token has this id.
        case absent
        /// The text is written in ``ByteAlphabet``.
        case byteLevel
        /// The text means itself: it is only ever matched as an added token, never built from bytes by merges.
        case verbatim
    }

    /// The tokens' bytes, end to end in id order.
    private var bytes: [UInt8] = []
    /// Where each token starts in `bytes`; one entry more than there are ids.
    private var offsets: [UInt32] = [0]
    private var forms: [Form] = []
    /// Open addressing with linear probing: ids of byte-level tokens by the hash of their bytes, -1 where free. At most
    /// half full. Swift's `Hasher` is seeded per process, so that no file can be built to make it collide.
    private var slots: [Int32]
    /// The token of each single byte, or -1.
    private(set) var byteTokens = [Int32](repeating: -1, count: 256)
    let spelling: Spelling
    /// No token that is looked up is longer than this.
    private(set) var maximumKeyByteCount = 0

    /// One more than the largest id.
    var count: Int { forms.count }

    /// - Parameters:
    ///   - texts: the tokens in id order, nil where an id is not used.
    ///   - specialIDs: ids whose texts outside ASCII mean themselves even where ``ByteAlphabet`` could spell them.
    ///   - isListed: whether an id is a token of the model, which its text is looked up for, not only an added one.
    /// - Complexity: O(bytes).
    init(
        texts: [String?], specialIDs: Set<Int>, spelling: Spelling = .byteLevel,
        isListed: (Int) -> Bool = { _ in true }
    ) throws(TokenizerError) {
        self.spelling = spelling
        guard !texts.isEmpty else { throw TokenizerError("the vocabulary has no tokens") }
        guard texts.count <= Vocabulary.maximumCount else {
            throw TokenizerError(
                "the vocabulary has \(texts.count) tokens, expected at most \(Vocabulary.maximumCount)")
        }
        var capacity = 16
        while capacity < texts.count * 2 { capacity *= 2 }
        slots = [Int32](repeating: -1, count: capacity)
        offsets.reserveCapacity(texts.count + 1)
        forms.reserveCapacity(texts.count)
        // Keys are bytes because equality of `String`s takes different spellings of one text for the same.
        var verbatim: [[UInt8]: Int] = [:]

        for (id, text) in texts.enumerated() {
            guard let text else {
                append(form: .absent)
                continue
            }
            guard !text.isEmpty else { throw TokenizerError("token \(id) is empty") }
            guard text.utf8.count <= Vocabulary.maximumTokenByteCount, bytes.count <= Int32.max / 2 else {
                throw TokenizerError(
                    "token \(id) has \(text.utf8.count) bytes, expected at most \(Vocabulary.maximumTokenByteCount)")
            }
            if spelling == .plain {
                bytes.append(contentsOf: text.utf8)
                append(form: .verbatim)
                if isListed(id) { try insert(id, text: text) }
                continue
            }
            let isLiteral = specialIDs.contains(id) && text.utf8.contains { $0 >= 0x80 }
            if !isLiteral, ByteAlphabet.appendBytes(of: text.utf8, to: &bytes) {
                append(form: .byteLevel)
                try insert(id, text: text)
            } else {
                if let other = verbatim.updateValue(id, forKey: Array(text.utf8)) {
                    throw TokenizerError("the token \(text.quoted) has two ids, \(other) and \(id)")
                }
                bytes.append(contentsOf: text.utf8)
                append(form: .verbatim)
            }
        }
    }

    private mutating func append(form: Form) {
        offsets.append(UInt32(bytes.count))
        forms.append(form)
    }

    private mutating func insert(_ id: Int, text: String) throws(TokenizerError) {
        let (slot, other) = bytes.withUnsafeBufferPointer { find(UnsafeBufferPointer(rebasing: $0[range(of: id)])) }
        if let other { throw TokenizerError("the token \(text.quoted) has two ids, \(other) and \(id)") }
        slots[slot] = Int32(id)
        maximumKeyByteCount = max(maximumKeyByteCount, range(of: id).count)
        if spelling == .plain {
            if let byte = Vocabulary.byte(fallback: bytes[range(of: id)]) { byteTokens[Int(byte)] = Int32(id) }
        } else if range(of: id).count == 1 {
            byteTokens[Int(bytes[range(of: id).lowerBound])] = Int32(id)
        }
    }

    /// The byte that `<0x0A>` stands for; files write it with upper-case digits.
    static func byte(fallback text: some Collection<UInt8>) -> UInt8? {
        guard text.count == 6, text.starts(with: "<0x".utf8), text.dropFirst(5).first == UInt8(ascii: ">") else {
            return nil
        }
        let digits = text.dropFirst(3).prefix(2)
        guard digits.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }) else { return nil }
        return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    private func range(of id: Int) -> Range<Int> { Int(offsets[id])..<Int(offsets[id + 1]) }

    /// The slot where `key` is or belongs, and the id there.
    private func find(_ key: UnsafeBufferPointer<UInt8>) -> (slot: Int, id: Int32?) {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(key))
        let mask = slots.count - 1
        var slot = hasher.finalize() & mask
        while slots[slot] >= 0 {
            let range = range(of: Int(slots[slot]))
            if range.count == key.count, bytes.withUnsafeBufferPointer({ isEqual($0, range.lowerBound, key) }) {
                return (slot, slots[slot])
            }
            slot = (slot + 1) & mask
        }
        return (slot, nil)
    }

    @inline(__always)
    private func isEqual(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
        for index in 0..<key.count where bytes[start + index] != key[index] { return false }
        return true
    }
}

extension Vocabulary {
    /// Appends the bytes that the token `text` is looked up by.
    /// - Returns: false if no token is spelled that way.
    func appendKey(of text: String, to key: inout [UInt8]) -> Bool {
        if spelling == .byteLevel { return ByteAlphabet.appendBytes(of: text.utf8, to: &key) }
        key.append(contentsOf: text.utf8)
        return true
    }

    /// How files write the token with these bytes.
    func text(ofKey key: [UInt8]) -> String {
        spelling == .byteLevel ? ByteAlphabet.text(of: key) : String(decoding: key, as: UTF8.self)
    }

    /// The id of the token with exactly these bytes.
    func id(of key: UnsafeBufferPointer<UInt8>) -> Int32? { find(key).id }

    func id(of key: [UInt8]) -> Int32? { key.withUnsafeBufferPointer { find($0).id } }

    /// Whether a token has this id; false for ids out of range.
    func contains(_ id: Int) -> Bool { forms.indices.contains(id) && forms[id] != .absent }

    /// The bytes that the token stands for; none if no token has this id.
    func bytes(of id: Int) -> ArraySlice<UInt8> { contains(id) ? bytes[range(of: id)] : [] }

    /// Calls `body` with the same bytes where they lie.
    @inline(__always)
    func withBytes<Result>(of id: Int, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
        let range = contains(id) ? range(of: id) : 0..<0
        return try bytes.withUnsafeBufferPointer { try body(UnsafeBufferPointer(rebasing: $0[range])) }
    }

    /// The token as vocabulary files write it; nil if no token has this id.
    func text(of id: Int) -> String? {
        guard contains(id) else { return nil }
        let bytes = bytes(of: id)
        return forms[id] == .byteLevel ? ByteAlphabet.text(of: bytes) : String(decoding: bytes, as: UTF8.self)
    }
}

/// SentencePiece's byte pair encoding: of all neighbours that together are a piece, those of the best score join first,
/// the leftmost among equals. Keeps its buffers from text to text.
///
/// A piece marked as unused may come up on the way and is taken apart again at the end, as it was last put together
/// anywhere in the text.
/// Source: sentencepiece 0.2.3, bpe_model.cc.
struct SentencePieceMerger {
    /// Unused pieces inside unused pieces are taken apart so many times, then stay.
    private static let maximumDepth = 100

    private let rules: SentencePieceRules
    private let userDefined: PrefixTrie?
    private let unknownID: Int
    private let byteIDs: [Int]
    private var merger = PairMerger()
    /// What becomes of the symbols that join with nothing, in their order.
    private var apart: [Apart] = []
    /// How an unused piece was last made, by its id.
    private var parts: [Int32: (left: Int32, right: Int32)] = [:]
    /// The last token is the unknown one, which a run of unknown characters shares.
    private var followsUnknown = false

    /// A symbol that joins with nothing.
    private enum Apart {
        /// A piece that a user defined.
        case piece(Int32)
        /// A character that no piece has.
        case unknown(UInt32)
    }

    init(_ rules: SentencePieceRules, of model: SentencePieceModel) {
        self.rules = rules
        userDefined = model.normalizer.userDefined
        unknownID = model.unknownID
        byteIDs = model.byteIDs
    }

    /// Appends the ids of a normalised text.
    /// - Complexity: O(n log n).
    mutating func encode(_ text: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        followsUnknown = false
        // Where something was made last is known only of the text as a whole.
        let isWhole = !rules.isUnused.isEmpty
        var position = 0
        while position < text.count {
            if let match = userDefined?.longestPrefix(of: text, from: position) {
                append(.piece(match.value), isWhole: isWhole, into: &ids)
                position = match.end
                continue
            }
            let (scalar, length) = text.scalar(at: position)
            position += length
            let id = rules.id(of: scalar)
            guard id != SentencePieceRules.apart else {
                append(.unknown(scalar), isWhole: isWhole, into: &ids)
                continue
            }
            var value = PairTable.none
            if merger.count > 0 {
                value = rules.pairs.value(merger[merger.count - 1], id)
                if value == PairTable.none && !isWhole { finish(into: &ids) }
            }
            merger.append(id, valueWithLast: value)
        }
        finish(into: &ids)
    }

    private mutating func append(_ symbol: Apart, isWhole: Bool, into ids: inout [Int]) {
        if isWhole {
            apart.append(symbol)
            merger.append(SentencePieceRules.apart, valueWithLast: PairTable.none)
        } else {
            finish(into: &ids)
            append(symbol, to: &ids)
        }
    }

    /// Merges the symbols so far and appends what becomes of them.
    @inline(__always)
    private mutating func finish(into ids: inout [Int]) {
        if rules.isUnused.isEmpty {
            merger.merge(rules.pairs)
            for index in 0..<merger.count { append(merger[index], to: &ids) }
        } else {
            let isUnused = rules.isUnused
            var made: [Int32: (left: Int32, right: Int32)] = [:]
            merger.merge(rules.pairs) { left, right, result in
                if isUnused[Int(result)] { made[result] = (left, right) }
            }
            parts = made
            var next = 0
            for index in 0..<merger.count {
                let id = merger[index]
                if id == SentencePieceRules.apart {
                    append(apart[next], to: &ids)
                    next += 1
                } else {
                    appendUsed(id, to: &ids)
                }
            }
            apart.removeAll(keepingCapacity: true)
        }
        merger.removeAll()
    }

    @inline(__always)
    private mutating func append(_ id: Int32, to ids: inout [Int]) {
        if id < rules.pieceCount {
            ids.append(Int(id))
            followsUnknown = false
        } else {
            append(.unknown(rules.others[Int(id) - rules.pieceCount]), to: &ids)
        }
    }

    /// Unknown characters become bytes, or one unknown token for a run of them.
    private mutating func append(_ symbol: Apart, to ids: inout [Int]) {
        switch symbol {
        case .piece(let id): append(id, to: &ids)
        case .unknown(let scalar):
            if !byteIDs.isEmpty {
                for byte in UTF8.encode(Unicode.Scalar(scalar)!)! { ids.append(byteIDs[Int(byte)]) }
            } else if !followsUnknown {
                ids.append(unknownID)
            }
            followsUnknown = true
        }
    }

    /// Appends a symbol, taking unused pieces apart.
    private mutating func appendUsed(_ id: Int32, to ids: inout [Int]) {
        var pending: [(id: Int32, depth: Int)] = [(id, 0)]
        while let (id, depth) = pending.popLast() {
            guard id < rules.pieceCount, rules.isUnused[Int(id)], depth <= SentencePieceMerger.maximumDepth else {
                append(id, to: &ids)
                continue
            }
            let (left, right) = parts[id]!  // nothing else makes one
            pending.append((right, depth + 1))
            pending.append((left, depth + 1))
        }
    }
}

import OrderedJSON

/// The `model` of a tokenizer.json.
struct HuggingFaceModel {
    enum Kind {
        case bytePairs(merges: [MergeRules.Texts], ignoresMerges: Bool, prefix: String, suffix: String)
        /// A score for each token.
        case unigram([Double])
    }

    let kind: Kind
    /// In id order; nil where no token has the id.
    let tokens: [String?]
    let unknown: Int?
    let fusesUnknown: Bool
    let fallsBackToBytes: Bool

    init(_ model: ComponentReader) throws(TokenizerError) {
        switch model.type {
        // Files from before the `type` key hold BPE models too.
        case "BPE": try self.init(bytePairs: model)
        case nil where !model.member("vocab").isNull && model.member("type").isNull: try self.init(bytePairs: model)
        case "Unigram": try self.init(unigram: model)
        default: throw model.unknownType(expected: "BPE or Unigram")
        }
    }

    private init(bytePairs model: ComponentReader) throws(TokenizerError) {
        try model.check(
            knownKeys: [
                "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
                "ignore_merges", "vocab", "merges",
            ])
        if let dropout = model.member("dropout").doubleValue, dropout != 0 {
            throw TokenizerError("model.dropout is \(dropout), expected null: ids must not depend on chance")
        }
        tokens = try HuggingFaceModel.tokens(model.member("vocab"))
        unknown = try HuggingFaceModel.unknown(model.string("unk_token"), tokens)
        fusesUnknown = try model.bool("fuse_unk", default: false)
        fallsBackToBytes = try model.bool("byte_fallback", default: false)
        kind = .bytePairs(
            merges: try HuggingFaceModel.merges(model.array("merges")),
            ignoresMerges: try model.bool("ignore_merges", default: false),
            prefix: try model.string("continuing_subword_prefix") ?? "",
            suffix: try model.string("end_of_word_suffix") ?? "")
    }

    private init(unigram model: ComponentReader) throws(TokenizerError) {
        try model.check(knownKeys: ["unk_id", "vocab", "byte_fallback", "alpha", "nbest_size"])
        for key in ["alpha", "nbest_size"] where !model.member(key).isNull {
            throw TokenizerError("model.\(key) is set, expected null: ids must not depend on chance")
        }
        let rows = try model.array("vocab")
        guard rows.count <= Vocabulary.maximumCount else {
            throw TokenizerError("model.vocab has \(rows.count) tokens, expected at most \(Vocabulary.maximumCount)")
        }
        var tokens: [String?] = []
        var scores: [Double] = []
        tokens.reserveCapacity(rows.count)
        for (id, row) in rows.enumerated() {
            guard let row = row.arrayValue, row.count == 2, let text = row[0].stringValue,
                let score = row[1].doubleValue
            else { throw TokenizerError("model.vocab[\(id)] is no text with a score") }
            tokens.append(text)
            scores.append(HuggingFaceModel.asThePackageReads(score))
        }
        guard let unknown = model.member("unk_id").intValue, tokens.indices.contains(unknown) else {
            throw TokenizerError("model.unk_id is not one of the \(tokens.count) tokens, which every text needs")
        }
        kind = .unigram(scores)
        self.tokens = tokens
        self.unknown = unknown
        fusesUnknown = true
        fallsBackToBytes = try model.bool("byte_fallback", default: false)
    }

    /// The number as the package's JSON reader has it: all digits as an integer, which is divided by a power of ten.
    ///
    /// That is one rounding more than a correct reader has, and the last bit decides between ways of equal worth. Files
    /// are written with the fewest digits that tell a number from others, which are those of its description.
    static func asThePackageReads(_ score: Double) -> Double {
        var digits: UInt64 = 0
        var exponent = 0
        var isBehindPoint = false
        let parts = "\(score.magnitude)".split(separator: "e")
        for character in parts[0].utf8 {
            if character == UInt8(ascii: ".") {
                isBehindPoint = true
                continue
            }
            let (product, overflow) = digits.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(character &- UInt8(ascii: "0")))
            guard !overflow, !carry else { return score }
            digits = sum
            if isBehindPoint { exponent -= 1 }
        }
        if parts.count > 1 { exponent += Int(parts[1]) ?? 0 }
        guard exponent < 0, exponent > -300, let power = Double("1e\(-exponent)") else { return score }
        let value = Double(digits) / power
        return score < 0 ? -value : value
    }

    private static func unknown(_ name: String?, _ tokens: [String?]) throws(TokenizerError) -> Int? {
        guard let name else { return nil }
        guard let id = tokens.firstIndex(where: { $0?.utf8.elementsEqual(name.utf8) ?? false }) else {
            throw TokenizerError("tokenizer.json: the unk_token \(name.quoted) is not in the vocabulary")
        }
        return id
    }

    /// The texts in id order, from an object, or from the list of its keys and values in turns that
    /// ``OrderedJSON/JSON/init(parsing:listing:)`` makes of it.
    static func tokens(_ vocabulary: JSON, name: String = "model.vocab") throws(TokenizerError) -> [String?] {
        let limit = Vocabulary.maximumCount
        var tokens: [String?] = []
        func insert(_ text: String, _ value: JSON) throws(TokenizerError) {
            guard let id = value.intValue, (0..<limit).contains(id) else {
                throw TokenizerError("\(name) gives \(text.quoted) no id from 0 to \(limit - 1)")
            }
            if id >= tokens.count { tokens += Array(repeating: nil, count: id + 1 - tokens.count) }
            if let other = tokens[id] {
                throw TokenizerError("\(name) gives \(other.quoted) and \(text.quoted) the same id, \(id)")
            }
            tokens[id] = text
        }
        if let members = vocabulary.objectValue {
            tokens = [String?](repeating: nil, count: min(members.count, limit))
            for (text, value) in members { try insert(text, value) }
            return tokens
        }
        guard let list = vocabulary.arrayValue, list.count % 2 == 0 else {
            throw TokenizerError("\(name) is \(vocabulary.kindName), expected an object")
        }
        tokens = [String?](repeating: nil, count: min(list.count / 2, limit))
        for index in stride(from: 0, to: list.count, by: 2) {
            guard let text = list[index].stringValue else {
                throw TokenizerError("\(name) is an array, expected an object")
            }
            try insert(text, list[index + 1])
        }
        return tokens
    }

    /// Merges are written as "a b" or, in newer files, as ["a", "b"].
    private static func merges(_ list: [JSON]) throws(TokenizerError) -> [MergeRules.Texts] {
        var merges: [MergeRules.Texts] = []
        merges.reserveCapacity(list.count)
        for (rank, merge) in list.enumerated() {
            if let text = merge.stringValue {
                guard let texts = MergeRules.Texts(line: text) else {
                    throw TokenizerError("merge \(rank) is \(text.quoted), expected two tokens with one space between")
                }
                merges.append(texts)
            } else if let pair = merge.arrayValue, pair.count == 2, let left = pair[0].stringValue,
                let right = pair[1].stringValue
            {
                merges.append(MergeRules.Texts(left, right))
            } else {
                throw TokenizerError("model.merges[\(rank)] is \(merge.kindName), expected a text or a pair of texts")
            }
        }
        return merges
    }
}

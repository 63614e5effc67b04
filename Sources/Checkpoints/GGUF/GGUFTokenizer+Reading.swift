extension GGUFTokenizer {
    /// Reads the tokenizer from `file`'s metadata.
    /// - Throws: `CheckpointError` if the vocabulary is missing, a list has another length than it, an id lies outside
    ///   it, or a value has another type than it should.
    /// - Complexity: O(bytes of the vocabulary).
    init(_ file: GGUFFile) throws(CheckpointError) {
        let metadata = GGUFMetadata(file)
        let prefix = "tokenizer.ggml."
        model = try metadata.required(prefix + "model", "a string", \.stringValue)
        pre = try metadata.optional(prefix + "pre", "a string", \.stringValue)
        guard let tokens = try metadata.strings(prefix + "tokens") else {
            throw metadata.missing(prefix + "tokens", "an array of strings")
        }
        self.tokens = tokens
        merges = try metadata.strings(prefix + "merges") ?? []
        tokenTypes =
            try metadata.optional(prefix + "token_type", "an array of integers", { $0.arrayValue?.integers() }) ?? []
        scores = try metadata.optional(prefix + "scores", "an array of Float32", { $0.arrayValue?.floats() }) ?? []
        for (key, count) in [("token_type", tokenTypes.count), ("scores", scores.count)] {
            guard count == 0 || count == tokens.count else {
                throw metadata.damaged(prefix + key, expected: "\(tokens.count) elements", found: "\(count)")
            }
        }
        func id(_ name: String) throws(CheckpointError) -> Int? {
            let key = prefix + name + "_token_id"
            // Writers that have no such token say so with all bits set.
            guard let id = try metadata.optional(key, "an integer", \.intValue), id != Int(UInt32.max), id != -1 else {
                return nil
            }
            guard tokens.indices.contains(id) else {
                throw metadata.damaged(key, expected: "an id below \(tokens.count)", found: "\(id)")
            }
            return id
        }
        beginningID = try id("bos")
        endID = try id("eos")
        endOfTurnID = try id("eot")
        unknownID = try id("unknown")
        paddingID = try id("padding")
        addsBeginning = try metadata.optional(prefix + "add_bos_token", "a boolean", \.boolValue)
        addsEnd = try metadata.optional(prefix + "add_eos_token", "a boolean", \.boolValue)
        addsSpacePrefix = try metadata.optional(prefix + "add_space_prefix", "a boolean", \.boolValue)
        chatTemplate = try metadata.optional("tokenizer.chat_template", "a string", \.stringValue)
    }
}

/// Everything that byte pair encoding goes by, of bytes or of characters.
struct BytePairRules: Sendable {
    /// What the merges start from.
    enum Units: Sendable {
        /// The bytes of a text; a byte without a token is dropped or becomes the unknown token.
        case bytes
        /// Its characters; one without a token becomes the tokens of its bytes if `fallsBackToBytes` and all of them
        /// have one, else the unknown token, and is dropped if there is none.
        case characters(fallsBackToBytes: Bool)
    }

    let units: Units
    let merges: MergeRules
    /// A piece that is a token as it stands is that token.
    let ignoresMerges: Bool
    let unknownToken: Int?
    /// A run of unknown units becomes one token.
    let fusesUnknown: Bool
    /// What tokens inside a piece begin with, and what the last one ends with.
    var prefix: [UInt8] = []
    var suffix: [UInt8] = []
}

/// A token that is found in the text itself, before the text is cut into pieces and merged.
///
/// The flags are those of `AddedToken` in the `tokenizers` package.
public struct AddedToken: Sendable, Equatable {
    public var id: Int
    /// The text that stands for the token.
    public var content: String
    /// A control token such as `<|im_end|>`, which is no text: it is only found where special tokens are asked for, and
    /// can be left out when tokens are turned into text.
    public var isSpecial: Bool
    /// White space before the token belongs to it.
    public var stripsLeft: Bool
    /// White space after the token belongs to it.
    public var stripsRight: Bool
    /// The token is found only where no letter, digit or the like touches it.
    public var isSingleWord: Bool
    /// The token is looked for after the text has been normalised, not before.
    public var isNormalized: Bool

    public init(
        id: Int, content: String, isSpecial: Bool = true, stripsLeft: Bool = false, stripsRight: Bool = false,
        isSingleWord: Bool = false, isNormalized: Bool = false
    ) {
        self.id = id
        self.content = content
        self.isSpecial = isSpecial
        self.stripsLeft = stripsLeft
        self.stripsRight = stripsRight
        self.isSingleWord = isSingleWord
        self.isNormalized = isNormalized
    }
}

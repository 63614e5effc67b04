/// Cuts the first tokens of a text into windows for measuring perplexity.
///
/// The model reads each window by itself, from position 0 and with nothing put in front. Its first token only serves as
/// context; tokens `1..<count` of the window are scored.
///
/// By default the last, shorter window counts too, if it has at least two tokens, so that "the first N tokens" means
/// all of them and a text shorter than one window has a perplexity. Published WikiText-2 figures (GPTQ, SparseGPT,
/// Wanda) and llama.cpp drop the incomplete window; `.dropped` does that. The conventions differ only where the number
/// of tokens is no multiple of the window.
public struct EvaluationWindows: Sendable, RandomAccessCollection {
    /// What becomes of a last window that is not full.
    public enum IncompleteWindow: Sendable {
        /// Scored, if it has at least two tokens.
        case scored
        /// Left out, as published figures do. A text shorter than one window then has no windows.
        case dropped
    }

    /// Tokens that are read: those of the text, or the limit if that is lower.
    public let tokenCount: Int
    /// Tokens in each window but perhaps the last.
    public let window: Int
    public let endIndex: Int
    public var startIndex: Int { 0 }

    /// - Parameters:
    ///   - tokenCount: tokens of the text; 0 or more.
    ///   - window: tokens in a window; at least 2, or there would be nothing to score.
    ///   - limit: only this many first tokens count; nil for all.
    /// - Throws: `EvaluationError` if the window or the limit is too small.
    public init(
        tokenCount: Int, window: Int, limit: Int? = nil, incompleteWindow: IncompleteWindow = .scored
    ) throws(EvaluationError) {
        precondition(tokenCount >= 0, "a text of \(tokenCount) tokens")
        guard window >= 2 else { throw .windowTooSmall(window) }
        if let limit, limit < 2 { throw .limitTooSmall(limit) }
        self.tokenCount = Swift.min(tokenCount, limit ?? tokenCount)
        self.window = window
        let rest = self.tokenCount % window
        endIndex = self.tokenCount / window + (incompleteWindow == .scored && rest >= 2 ? 1 : 0)
    }

    /// The token positions of window `index`, in the text.
    public subscript(index: Int) -> Range<Int> {
        precondition(index >= 0 && index < endIndex, "window \(index) outside 0..<\(endIndex)")
        let start = index * window
        return start..<start + Swift.min(window, tokenCount - start)
    }

    /// Tokens that are scored in all windows together.
    public var scoredTokenCount: Int {
        guard let last else { return 0 }
        return last.upperBound - count
    }
}

/// Limits under which no token could be scored.
public enum EvaluationError: Error, Equatable, CustomStringConvertible {
    case windowTooSmall(Int)
    case limitTooSmall(Int)

    public var description: String {
        switch self {
        case .windowTooSmall(let window): "a window must have at least 2 tokens to score one, but has \(window)"
        case .limitTooSmall(let limit): "at least 2 tokens must be read to score one, but the limit is \(limit)"
        }
    }
}

/// A share of one as a small horizontal bar: `▇▇▇░░`, in ASCII `###--`.
public enum Bar {
    /// - Parameters:
    ///   - share: 0...1; what lies outside is cut to it, NaN draws an empty bar.
    ///   - cells: the bar's width in characters.
    public static func text(_ share: Double, cells: Int, allowsUnicode: Bool) -> String {
        precondition(cells >= 0, "a bar of \(cells) cells")
        let bounded = share.isNaN ? 0 : min(max(share, 0), 1)
        var filled = Int((bounded * Double(cells)).rounded())
        // A bar looks full or empty only when its share is.
        if bounded < 1, filled == cells { filled = max(cells - 1, 0) }
        if bounded > 0, filled == 0, cells > 1 { filled = 1 }
        return String(repeating: allowsUnicode ? "▇" : "#", count: filled)
            + String(repeating: allowsUnicode ? "░" : "-", count: cells - filled)
    }
}

/// A table of text, its columns aligned and two spaces apart, with a rule under the header.
///
///     name          size      sparsity
///     ────────────  ────────  ────────────
///     blk.0.attn_q  663.6 kB  80.0 % ▇▇▇▇░
///
/// Where the output is no terminal, the same table is drawn in ASCII and without bold.
public struct Table: Sendable {
    public enum Alignment: Sendable { case leading, trailing }

    public struct Column: Sendable {
        public let title: String
        public let alignment: Alignment

        /// A column of words.
        public static func text(_ title: String) -> Column { Column(title: title, alignment: .leading) }

        /// A column of figures, which line up at their right.
        public static func number(_ title: String) -> Column { Column(title: title, alignment: .trailing) }
    }

    private enum Row: Sendable {
        case cells([String])
        case headline(String)
        case rule
    }

    private let columns: [Column]
    private var rows: [Row] = []

    public init(_ columns: [Column]) {
        precondition(!columns.isEmpty, "a table needs a column")
        self.columns = columns
    }

    /// Adds a row at the bottom. Characters that would steer the terminal are spelt out.
    /// - Precondition: there are as many cells as columns.
    public mutating func append(_ cells: [String]) {
        precondition(cells.count == columns.count, "\(cells.count) cells for \(columns.count) columns")
        rows.append(.cells(cells.map(\.printable)))
    }

    /// Adds a rule, to set totals apart.
    public mutating func appendRule() { rows.append(.rule) }

    /// Adds a line that says what the rows below it have in common, set apart by a rule above unless it is the first.
    public mutating func appendHeadline(_ text: String) {
        if !rows.isEmpty { rows.append(.rule) }
        rows.append(.headline(text.printable))
    }

    /// The table's lines, each ended by a newline and without spaces before it.
    public func text(for traits: OutputTraits) -> String {
        var widths = columns.map(\.title.displayWidth)
        for case .cells(let cells) in rows {
            for (index, cell) in cells.enumerated() { widths[index] = max(widths[index], cell.displayWidth) }
        }
        let dash = traits.allowsUnicode ? "─" : "-"
        let rule = widths.map { String(repeating: dash, count: $0) }.joined(separator: "  ")
        let header = line(columns.map(\.title), widths)
        var lines = [traits.allowsColour ? "\u{1B}[1m\(header)\u{1B}[0m" : header, rule]
        for row in rows {
            switch row {
            case .cells(let cells): lines.append(line(cells, widths))
            case .headline(let text): lines.append(traits.allowsColour ? "\u{1B}[1m\(text)\u{1B}[0m" : text)
            case .rule: lines.append(rule)
            }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var text = ""
        for (index, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: widths[index] - cell.displayWidth)
            if index > 0 { text += "  " }
            text += columns[index].alignment == .leading ? cell + padding : padding + cell
        }
        while text.last == " " { text.removeLast() }
        return text
    }
}

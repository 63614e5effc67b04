/// Charts in rows under one title and one legend, as an SVG picture.
///
/// The picture brings a light background of its own, so that it is read on dark pages, too.
///
///     let figure = Figure(title: "...", subtitle: "...", rows: [.init(heading: "...", charts: charts)], notes: [])
///     try figure.svg().write(...)
public struct Figure: Sendable {
    /// Charts beside each other.
    public struct Row: Sendable {
        public let heading: String
        public let charts: [Chart]

        public init(heading: String, charts: [Chart]) {
            self.heading = heading
            self.charts = charts
        }
    }

    public let title: String
    public let subtitle: String
    public let rows: [Row]
    /// Lines of small print at the bottom.
    public let notes: [String]

    public init(title: String, subtitle: String, rows: [Row], notes: [String]) {
        self.title = title
        self.subtitle = subtitle
        self.rows = rows
        self.notes = notes
    }

    /// Sizes in user units.
    enum Layout {
        static let margin = 32.0
        static let chartsPerLine = 4
        static let minimumWidth = 640.0
        static let legendLine = 24.0
        static let noteLine = 18.0
        /// The mean width of a character of a sans-serif font, in its size; wide enough for most texts.
        static let characterWidth = 0.56
        static let fontFamily =
            "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
    }

    enum Ink {
        static let background = "#fcfcfb"
        static let border = "#dcdcd8"
        static let text = "#1f2328"
        static let faint = "#59636e"
        static let grid = "#e8e8e4"
        static let axis = "#8b919a"
    }

    /// The picture. The same figure gives the same bytes.
    public func svg() -> String {
        let lines = rows.map { Self.lines($0.charts.count) }
        let widest = rows.map { min($0.charts.count, Layout.chartsPerLine) }.max() ?? 0
        let width = max(
            Layout.margin * 2 + Double(widest) * ChartDrawing.size.width, Layout.minimumWidth)
        let legend = legendLines(width: width - 2 * Layout.margin)
        let top = Layout.margin + 58
        let chartsTop = top + Double(legend.count) * Layout.legendLine
        let rowHeights = lines.map { 34 + Double($0) * ChartDrawing.size.height }
        let notesTop = chartsTop + rowHeights.reduce(0, +) + 10
        let height = notesTop + Double(notes.count) * Layout.noteLine + Layout.margin - 8

        var document = SVGDocument(width: width, height: height)
        document.element(
            "rect",
            [
                "x": "0.5", "y": "0.5", "width": SVGDocument.number(width - 1),
                "height": SVGDocument.number(height - 1), "rx": "10", "fill": Ink.background, "stroke": Ink.border,
            ])
        let left = Layout.margin
        document.text(
            title, x: left, y: Layout.margin + 14,
            ["font-size": "21", "font-weight": "650", "fill": Ink.text])
        document.text(subtitle, x: left, y: Layout.margin + 37, ["font-size": "13.5", "fill": Ink.faint])
        for (index, entries) in legend.enumerated() {
            draw(entries, y: top + 12 + Double(index) * Layout.legendLine, in: &document)
        }
        var y = chartsTop
        var number = 0
        for (row, height) in zip(rows, rowHeights) {
            document.text(
                row.heading, x: left, y: y + 24, ["font-size": "15", "font-weight": "600", "fill": Ink.text])
            for (index, chart) in row.charts.enumerated() {
                let (line, column) = index.quotientAndRemainder(dividingBy: Layout.chartsPerLine)
                let origin = ChartPoint(
                    x: left + Double(column) * ChartDrawing.size.width,
                    y: y + 34 + Double(line) * ChartDrawing.size.height)
                ChartDrawing(chart, origin: origin, number: number).draw(in: &document)
                number += 1
            }
            y += height
        }
        for (index, note) in notes.enumerated() {
            document.text(
                note, x: left, y: notesTop + 12 + Double(index) * Layout.noteLine,
                ["font-size": "12", "fill": Ink.faint])
        }
        return document.text(title: title, fontFamily: Layout.fontFamily)
    }

    private static func lines(_ charts: Int) -> Int {
        (charts + Layout.chartsPerLine - 1) / Layout.chartsPerLine
    }
}

/// The legend: one entry for every series of that name in any chart.
extension Figure {
    private struct LegendEntry {
        let name: String
        let style: SeriesStyle
        let x: Double
    }

    private func legendLines(width: Double) -> [[LegendEntry]] {
        var lines: [[LegendEntry]] = []
        var names: Set<String> = []
        var x = 0.0
        for series in rows.flatMap(\.charts).flatMap(\.series)
        where series.isInLegend && names.insert(series.name).inserted {
            let needed = 34 + Double(series.name.count) * 13 * Layout.characterWidth + 22
            if lines.isEmpty || x + needed - 22 > width {
                lines.append([])
                x = 0
            }
            lines[lines.count - 1].append(LegendEntry(name: series.name, style: series.style, x: x))
            x += needed
        }
        return lines
    }

    private func draw(_ entries: [LegendEntry], y: Double, in document: inout SVGDocument) {
        for entry in entries {
            let x = Layout.margin + entry.x
            ChartDrawing.stroke(
                [ChartPoint(x: x, y: y), ChartPoint(x: x + 26, y: y)], entry.style, in: &document)
            ChartDrawing.mark(ChartPoint(x: x + 13, y: y), entry.style, in: &document)
            document.text(entry.name, x: x + 34, y: y + 4.5, ["font-size": "13", "fill": Ink.text])
        }
    }
}

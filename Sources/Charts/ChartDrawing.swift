/// Draws one chart of a figure: frame and grid, then lines, then markers, then labels.
struct ChartDrawing {
    static let size = (width: 286.0, height: 286.0)
    /// Around the plot, for titles and tick labels.
    private static let insets = (left: 50.0, right: 18.0, top: 30.0, bottom: 50.0)

    private let chart: Chart
    private let number: Int
    private let left: Double
    private let right: Double
    private let top: Double
    private let bottom: Double

    /// - Parameters:
    ///   - origin: the upper left corner.
    ///   - number: no other chart's in the picture.
    init(_ chart: Chart, origin: ChartPoint, number: Int) {
        self.chart = chart
        self.number = number
        left = origin.x + Self.insets.left
        right = origin.x + Self.size.width - Self.insets.right
        top = origin.y + Self.insets.top
        bottom = origin.y + Self.size.height - Self.insets.bottom
    }

    private func place(_ x: Double, _ y: Double) -> ChartPoint {
        ChartPoint(x: left + chart.x.share(x) * (right - left), y: bottom - chart.y.share(y) * (bottom - top))
    }

    func draw(in document: inout SVGDocument) {
        drawFrame(in: &document)
        let clip = "plot-\(number)"
        document.group("clipPath", ["id": clip]) { document in
            document.element(
                "rect",
                [
                    "x": SVGDocument.number(left), "y": SVGDocument.number(top),
                    "width": SVGDocument.number(right - left), "height": SVGDocument.number(bottom - top),
                ])
        }
        document.group("g", ["clip-path": "url(#\(clip))"]) { document in
            for series in chart.series {
                Self.stroke(series.points.map { place($0.x, $0.y) }, series.style, in: &document)
            }
        }
        for series in chart.series {
            for point in series.points {
                if let spread = point.spread {
                    document.line(
                        from: place(point.x, spread.lowerBound), to: place(point.x, spread.upperBound),
                        ["stroke": series.style.colour, "stroke-width": "1.2", "stroke-opacity": "0.7"])
                }
                Self.mark(place(point.x, point.y), series.style, in: &document)
            }
        }
        drawLabels(in: &document)
    }

    private func drawFrame(in document: inout SVGDocument) {
        let small = "11.5"
        for tick in chart.y.ticks where chart.y.domain.contains(tick.value) {
            let y = place(chart.x.domain.lowerBound, tick.value).y
            document.line(
                from: ChartPoint(x: left, y: y), to: ChartPoint(x: right, y: y), ["stroke": Figure.Ink.grid])
            document.text(
                tick.label, x: left - 7, y: y + 4,
                ["font-size": small, "fill": Figure.Ink.faint, "text-anchor": "end"])
        }
        for tick in chart.x.ticks where chart.x.domain.contains(tick.value) {
            let x = place(tick.value, chart.y.domain.lowerBound).x
            document.line(
                from: ChartPoint(x: x, y: top), to: ChartPoint(x: x, y: bottom), ["stroke": Figure.Ink.grid])
            document.text(
                tick.label, x: x, y: bottom + 17,
                ["font-size": small, "fill": Figure.Ink.faint, "text-anchor": "middle"])
        }
        document.line(
            from: ChartPoint(x: left, y: bottom), to: ChartPoint(x: right, y: bottom), ["stroke": Figure.Ink.axis])
        document.text(
            chart.x.title, x: (left + right) / 2, y: bottom + 36,
            ["font-size": "12", "fill": Figure.Ink.faint, "text-anchor": "middle"])
        // Above the axis and not along it: nobody has to tilt their head.
        document.text(
            chart.title, x: left, y: top - 12, ["font-size": "13", "font-weight": "600", "fill": Figure.Ink.text])
        document.text(
            chart.y.title, x: right, y: top - 12,
            ["font-size": "11.5", "fill": Figure.Ink.faint, "text-anchor": "end"])
    }

    private func drawLabels(in document: inout SVGDocument) {
        var placing = LabelPlacing(left: left, right: right + 8, top: top, bottom: bottom)
        for series in chart.series {
            let places = series.points.map { place($0.x, $0.y) }
            placing.avoid(line: places)
            if series.style.marker != .none { placing.avoid(markers: places) }
        }
        for series in chart.series {
            for point in series.points {
                guard let label = point.label, let start = placing.place(label, beside: place(point.x, point.y)) else {
                    continue
                }
                // The background shines through a line that is crossed all the same.
                document.text(
                    label, x: start.x, y: start.y,
                    [
                        "font-size": "11", "fill": series.style.colour, "stroke": Figure.Ink.background,
                        "stroke-width": "3", "stroke-linejoin": "round", "paint-order": "stroke",
                    ])
            }
        }
    }
}

/// Lines and markers, for plots and legends.
extension ChartDrawing {
    static func stroke(_ points: [ChartPoint], _ style: SeriesStyle, in document: inout SVGDocument) {
        guard points.count > 1, style.lineWidth > 0 else { return }
        let path = points.map { "\(SVGDocument.number($0.x)),\(SVGDocument.number($0.y))" }.joined(separator: " ")
        let width = SVGDocument.number(style.lineWidth)
        if style.isDashed {
            document.element(
                "polyline",
                [
                    "points": path, "fill": "none", "stroke": style.colour, "stroke-width": width,
                    "stroke-dasharray": "4 3.5", "stroke-opacity": "0.8",
                ])
        } else {
            document.element(
                "polyline",
                [
                    "points": path, "fill": "none", "stroke": style.colour, "stroke-width": width,
                    "stroke-linejoin": "round", "stroke-linecap": "round",
                ])
        }
    }

    static func mark(_ place: ChartPoint, _ style: SeriesStyle, in document: inout SVGDocument) {
        func polygon(_ corners: [(x: Double, y: Double)]) {
            let points = corners.map {
                "\(SVGDocument.number(place.x + $0.x)),\(SVGDocument.number(place.y + $0.y))"
            }.joined(separator: " ")
            document.element(
                "polygon",
                ["points": points, "fill": style.colour, "stroke": Figure.Ink.background, "stroke-width": "1.2"])
        }
        switch style.marker {
        case .none: break
        case .circle:
            document.element(
                "circle",
                [
                    "cx": SVGDocument.number(place.x), "cy": SVGDocument.number(place.y), "r": "4.2",
                    "fill": style.colour, "stroke": Figure.Ink.background, "stroke-width": "1.2",
                ])
        case .square: polygon([(-3.8, -3.8), (3.8, -3.8), (3.8, 3.8), (-3.8, 3.8)])
        case .diamond: polygon([(0, -5.2), (5.2, 0), (0, 5.2), (-5.2, 0)])
        case .triangle: polygon([(0, -5), (4.8, 3.6), (-4.8, 3.6)])
        }
    }
}

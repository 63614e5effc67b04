/// How a series looks. Colour alone never tells two series apart: markers differ, too.
public struct SeriesStyle: Sendable, Equatable {
    public enum Marker: Sendable, CaseIterable {
        case circle, square, diamond, triangle, none
    }

    /// "#rrggbb"
    public var colour: String
    public var marker: Marker
    public var isDashed: Bool
    public var lineWidth: Double

    public init(colour: String, marker: Marker, isDashed: Bool = false, lineWidth: Double = 2) {
        self.colour = colour
        self.marker = marker
        self.isDashed = isDashed
        self.lineWidth = lineWidth
    }

    /// Colours that people with every kind of colour vision tell apart, dark enough on white.
    /// Source: Okabe, Ito, "Color universal design", 2008; the yellow, too pale for lines, is left out.
    public static let palette = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d"]

    /// For what others are compared with.
    public static let baselineColours = ["#4a4f57", "#8b919a", "#b3b8bf"]
}

/// Points of one kind, in the order in which a line joins them.
public struct Series: Sendable {
    public struct Point: Sendable {
        public let x: Double
        public let y: Double
        /// Quartiles, drawn as a thin line.
        public let spread: ClosedRange<Double>?
        /// Written beside the point, if there is room.
        public let label: String?

        public init(x: Double, y: Double, spread: ClosedRange<Double>? = nil, label: String? = nil) {
            self.x = x
            self.y = y
            self.spread = spread
            self.label = label
        }
    }

    public let name: String
    public let style: SeriesStyle
    public let points: [Point]
    /// Whether the legend names it.
    public let isInLegend: Bool

    public init(_ name: String, style: SeriesStyle, points: [Point], isInLegend: Bool = true) {
        precondition(points.allSatisfy { $0.x.isFinite && $0.y.isFinite }, "points of series \(name)")
        self.name = name
        self.style = style
        self.points = points
        self.isInLegend = isInLegend
    }
}

/// One chart: series over two axes.
public struct Chart: Sendable {
    public let title: String
    public let x: Axis
    public let y: Axis
    /// Those that come later lie above the others.
    public let series: [Series]

    public init(title: String, x: Axis, y: Axis, series: [Series]) {
        self.title = title
        self.x = x
        self.y = y
        self.series = series
    }
}

/// Finds places for short labels beside points: never over another label or outside the plot, and where possible off
/// lines and markers.
struct LabelPlacing {
    private struct Box {
        var x: ClosedRange<Double>
        var y: ClosedRange<Double>

        func overlaps(_ other: Box) -> Bool { x.overlaps(other.x) && y.overlaps(other.y) }
    }

    /// Of the labels, in user units.
    private static let fontSize = 11.0
    /// Lines are avoided at points so far apart.
    private static let lineStep = 4.0

    private let plot: Box
    private var labels: [Box] = []
    private var obstacles: [Box] = []

    init(left: Double, right: Double, top: Double, bottom: Double) {
        plot = Box(x: left...right, y: top...bottom)
    }

    mutating func avoid(line: [ChartPoint]) {
        for (start, end) in zip(line, line.dropFirst()) {
            let length = max((end.x - start.x).magnitude, (end.y - start.y).magnitude)
            let count = max(min(Int(length / Self.lineStep), 1000), 1)
            for step in 0...count {
                let share = Double(step) / Double(count)
                let place = ChartPoint(
                    x: start.x + (end.x - start.x) * share, y: start.y + (end.y - start.y) * share)
                obstacles.append(box(around: place, reach: 1))
            }
        }
    }

    mutating func avoid(markers: [ChartPoint]) { obstacles += markers.map { box(around: $0, reach: 5) } }

    /// Where the text's baseline begins; nil if there is no room.
    mutating func place(_ label: String, beside point: ChartPoint) -> ChartPoint? {
        let width = Double(label.count) * Self.fontSize * Figure.Layout.characterWidth
        let starts = [
            (-width - 6, -6), (7, -6), (-width / 2, -9), (-width / 2, 17), (7, 14), (-width - 6, 14), (9, 4),
            (-width - 9, 4),
        ].map { ChartPoint(x: point.x + $0.0, y: point.y + $0.1) }
        var best: (start: ChartPoint, box: Box, hits: Int)?
        for start in starts {
            let box = Box(x: start.x...start.x + width, y: start.y - 9...start.y + 1)
            guard plot.x.contains(box.x.lowerBound), plot.x.contains(box.x.upperBound),
                plot.y.contains(box.y.lowerBound), plot.y.contains(box.y.upperBound),
                !labels.contains(where: box.overlaps)
            else { continue }
            let hits = obstacles.count(where: box.overlaps)
            if hits < best?.hits ?? .max { best = (start, box, hits) }
        }
        guard let best else { return nil }
        labels.append(best.box)
        return best.start
    }

    private func box(around place: ChartPoint, reach: Double) -> Box {
        Box(x: place.x - reach...place.x + reach, y: place.y - reach...place.y + reach)
    }
}

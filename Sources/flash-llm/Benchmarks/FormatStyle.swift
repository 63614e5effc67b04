import Charts

/// One look for each format in all pictures: baselines grey, the others by colour and marker.
struct FormatStyles {
    private let styles: [String: SeriesStyle]

    /// - Parameter formats: names in a fixed order, so that a format keeps its look whichever of them are measured.
    init(_ formats: [(name: String, isDense: Bool)]) {
        let markers: [SeriesStyle.Marker] = [.circle, .square, .diamond, .triangle]
        var styles: [String: SeriesStyle] = [:]
        var counts = (dense: 0, sparse: 0)
        for (number, format) in formats.enumerated() {
            let colours = format.isDense ? SeriesStyle.baselineColours : SeriesStyle.palette
            let index = format.isDense ? counts.dense : counts.sparse
            if format.isDense { counts.dense += 1 } else { counts.sparse += 1 }
            styles[format.name] = SeriesStyle(
                colour: colours[index % colours.count], marker: markers[number % markers.count])
        }
        self.styles = styles
    }

    func style(_ format: String) -> SeriesStyle {
        styles[format] ?? SeriesStyle(colour: SeriesStyle.baselineColours[0], marker: .circle)
    }
}

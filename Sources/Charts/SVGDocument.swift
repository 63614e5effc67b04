/// SVG, written element by element: the few elements that charts need.
///
/// The same calls give the same bytes: numbers are rounded to hundredths of a unit, and nothing depends on a locale.
struct SVGDocument {
    typealias Attributes = KeyValuePairs<String, String>

    private var body = ""
    private var depth = 1
    private let width: Double
    private let height: Double

    /// - Parameters:
    ///   - width: in user units, which are pixels where nobody scales the picture.
    init(width: Double, height: Double) {
        self.width = width
        self.height = height
    }

    /// The whole document.
    /// - Parameter title: what screen readers say.
    func text(title: String, fontFamily: String) -> String {
        let (width, height) = (Self.number(width), Self.number(height))
        let opening = Self.tag(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "width": width, "height": height,
                "viewBox": "0 0 \(width) \(height)", "role": "img", "font-family": fontFamily,
            ])
        return "\(opening)>\n  <title>\(title.escapedForXML)</title>\n\(body)</svg>\n"
    }

    mutating func element(_ name: String, _ attributes: Attributes) {
        line(Self.tag(name, attributes) + "/>")
    }

    /// An element around those that `content` adds.
    mutating func group(
        _ name: String = "g", _ attributes: Attributes, _ content: (inout SVGDocument) -> Void
    ) {
        line(Self.tag(name, attributes) + ">")
        depth += 1
        content(&self)
        depth -= 1
        line("</\(name)>")
    }

    mutating func text(_ text: String, x: Double, y: Double, _ attributes: Attributes) {
        var tag = "<text x=\"\(Self.number(x))\" y=\"\(Self.number(y))\""
        for (key, value) in attributes { tag += " \(key)=\"\(value.escapedForXML)\"" }
        line("\(tag)>\(text.escapedForXML)</text>")
    }

    mutating func line(from start: ChartPoint, to end: ChartPoint, _ attributes: Attributes) {
        var tag = "<line x1=\"\(Self.number(start.x))\" y1=\"\(Self.number(start.y))\""
        tag += " x2=\"\(Self.number(end.x))\" y2=\"\(Self.number(end.y))\""
        for (key, value) in attributes { tag += " \(key)=\"\(value.escapedForXML)\"" }
        line(tag + "/>")
    }

    private mutating func line(_ text: String) { body += String(repeating: "  ", count: depth) + text + "\n" }

    private static func tag(_ name: String, _ attributes: Attributes) -> String {
        attributes.reduce("<\(name)") { "\($0) \($1.key)=\"\($1.value.escapedForXML)\"" }
    }

    /// A coordinate with at most two digits behind the point.
    static func number(_ value: Double) -> String {
        precondition(value.isFinite && value.magnitude < 1e9, "coordinate \(value)")
        let hundredths = Int((value * 100).rounded())
        let (whole, rest) = hundredths.magnitude.quotientAndRemainder(dividingBy: 100)
        let sign = hundredths < 0 ? "-" : ""
        if rest == 0 { return "\(sign)\(whole)" }
        let digits = rest % 10 == 0 ? "\(rest / 10)" : rest < 10 ? "0\(rest)" : "\(rest)"
        return "\(sign)\(whole).\(digits)"
    }
}

/// A place in the picture: x to the right, y down.
struct ChartPoint: Equatable {
    var x: Double
    var y: Double
}

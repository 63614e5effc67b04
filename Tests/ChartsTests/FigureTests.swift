import Charts
import Foundation
import Testing

#if canImport(FoundationXML)
import FoundationXML
#endif

@Suite struct FigureTests {
    /// The elements of a picture, in order.
    private final class Elements: NSObject, XMLParserDelegate {
        private(set) var all: [(name: String, attributes: [String: String])] = []
        private(set) var texts: [String] = []
        private var text = ""

        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) {
            all.append((name, attributes))
            text = ""
        }

        func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }

        func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
            if name == "text" { texts.append(text) }
        }

        func named(_ name: String) -> [[String: String]] { all.filter { $0.name == name }.map(\.attributes) }
    }

    private func elements(_ figure: Figure) throws -> Elements {
        let elements = Elements()
        let parser = XMLParser(data: Data(figure.svg().utf8))
        parser.delegate = elements
        #expect(parser.parse(), "\(String(describing: parser.parserError))")
        return elements
    }

    private static let style = SeriesStyle(colour: SeriesStyle.palette[0], marker: .circle)

    private func chart(_ points: [(Double, Double)], name: String = "series", label: String? = nil) -> Chart {
        Chart(
            title: "chart", x: Axis("x", .linear, showing: points.map(\.0)),
            y: Axis("y", .logarithmic, showing: points.map(\.1)),
            series: [
                Series(
                    name, style: Self.style, points: points.map { Series.Point(x: $0.0, y: $0.1, label: label) })
            ])
    }

    private func figure(_ charts: [Chart], title: String = "title") -> Figure {
        Figure(
            title: title, subtitle: "subtitle", rows: [.init(heading: "heading", charts: charts)], notes: ["a note"])
    }

    @Test func drawsEveryPointInsideThePicture() throws {
        for count in [0, 1, 2, 5, 9] {
            let charts = (0..<count).map { _ in chart([(0, 1), (0.5, 100), (1, 3)]) }
            let found = try elements(figure(charts))
            let picture = try #require(found.named("svg").first)
            let width = try #require(picture["width"].flatMap(Double.init))
            let height = try #require(picture["height"].flatMap(Double.init))
            // The legend shows one, too.
            let circles = found.named("circle")
            #expect(circles.count == count * 3 + (count > 0 ? 1 : 0))
            for circle in circles {
                #expect((0...width).contains(try #require(circle["cx"].flatMap(Double.init))))
                #expect((0...height).contains(try #require(circle["cy"].flatMap(Double.init))))
            }
            let clips = found.named("clipPath").compactMap { $0["id"] }
            #expect(clips.count == count && Set(clips).count == count)
        }
    }

    @Test func higherValuesLieHigher() throws {
        let circles = try elements(figure([chart([(0, 1), (1, 10), (2, 100)])])).named("circle").dropFirst()
        let places = circles.compactMap { circle in circle["cy"].flatMap(Double.init) }
        #expect(places.count == 3 && places[0] > places[1] && places[1] > places[2])
        // Powers of ten are equally far apart.
        #expect(((places[0] - places[1]) - (places[1] - places[2])).magnitude < 0.02)
    }

    @Test func takesEveryTextAsItIs() throws {
        let hostile = "<script>alert(\"1\")</script> & 'more'\u{1}"
        let found = try elements(figure([chart([(1, 1)], name: hostile)], title: hostile))
        #expect(found.named("script").isEmpty)
        #expect(found.texts.contains("<script>alert(\"1\")</script> & 'more' "))
    }

    @Test func namesEverySeriesOnce() throws {
        let found = try elements(figure([chart([(1, 1)]), chart([(2, 2)])]))
        #expect(found.texts.count { $0 == "series" } == 1)
        for text in ["title", "subtitle", "heading", "a note"] { #expect(found.texts.contains(text)) }
    }

    @Test func leavesOutLabelsThatWouldCoverOthers() throws {
        let apart = try elements(figure([chart([(0, 1), (1, 1000)], label: "label")]))
        #expect(apart.texts.count { $0 == "label" } == 2)
        let crowded = (0..<50).map { (Double($0) / 1e6, 1.0) } + [(1, 1000)]
        let found = try elements(figure([chart(crowded, label: "label")]))
        #expect(found.texts.count { $0 == "label" } < 5)
    }

    @Test func writesTheSameBytesTwice() {
        let charts = [chart([(0.1, 0.3), (1.0 / 3, 2.0 / 7)])]
        #expect(figure(charts).svg() == figure(charts).svg())
    }
}

/// One axis of a chart: what it shows, over which values, and where its ticks are.
public struct Axis: Sendable {
    public enum Scale: Sendable {
        case linear
        case logarithmic
    }

    public struct Tick: Sendable, Equatable {
        public let value: Double
        public let label: String

        public init(_ value: Double, _ label: String) {
            self.value = value
            self.label = label
        }
    }

    public let title: String
    public let scale: Scale
    public let domain: ClosedRange<Double>
    public let ticks: [Tick]

    /// - Parameters:
    ///   - values: what the axis must show; it shows a little more.
    ///   - ticks: where and how values are named; nil for round numbers.
    ///   - startsAtZero: for a linear axis whose lengths people compare.
    ///   - suffix: behind round numbers, such as "x".
    /// - Precondition: values are finite; those of a logarithmic axis are positive.
    public init(
        _ title: String, _ scale: Scale, showing values: some Sequence<Double>, ticks: [Tick]? = nil,
        startsAtZero: Bool = false, suffix: String = ""
    ) {
        let values = Array(values)
        precondition(values.allSatisfy { $0.isFinite && (scale == .linear || $0 > 0) }, "values of axis \(title)")
        self.title = title
        self.scale = scale
        let (low, high) = (values.min() ?? 1, values.max() ?? 1)
        switch scale {
        case .linear:
            let span = high > low ? high - low : max(high.magnitude, 1)
            let start = startsAtZero && low >= 0 ? 0 : low - span * 0.06
            domain = start...high + span * 0.12
        case .logarithmic:
            let room = max(Self.power(high / low, 0.08), 1.15)
            domain = low / room...high * room
        }
        self.ticks = ticks ?? Self.roundTicks(in: domain, scale).map { Tick($0, Self.label($0) + suffix) }
    }

    /// Every second, third ... tick, so that at most `limit` are left and their labels have room. The last one stays.
    public static func thinned(_ ticks: [Tick], limit: Int) -> [Tick] {
        precondition(limit >= 1)
        let step = max((ticks.count + limit - 1) / limit, 1)
        return ticks.enumerated().filter { (ticks.count - 1 - $0.offset) % step == 0 }.map(\.element)
    }

    /// Where `value` lies between the ends of the axis: 0 at the lower one, 1 at the upper one.
    func share(_ value: Double) -> Double {
        switch scale {
        case .linear: (value - domain.lowerBound) / (domain.upperBound - domain.lowerBound)
        case .logarithmic:
            Self.logarithm(value / domain.lowerBound) / Self.logarithm(domain.upperBound / domain.lowerBound)
        }
    }

    /// 1, 2 and 5 times powers of ten: four to eight of them on a linear axis; on a logarithmic one all, or only the
    /// powers where these would be too many.
    static func roundTicks(in domain: ClosedRange<Double>, _ scale: Scale) -> [Double] {
        switch scale {
        case .linear:
            let span = domain.upperBound - domain.lowerBound
            let steps = (-9...15).flatMap { exponent in [1, 2, 5].map { $0 * power(10, exponent) } }
            let step = steps.first { span / $0 <= 7 } ?? span
            let first = (domain.lowerBound / step).rounded(.up)
            let last = (domain.upperBound / step).rounded(.down)
            return first > last ? [] : (0...Int(last - first)).map { (first + Double($0)) * step }
        case .logarithmic:
            let decades = (-9...15).map { power(10, $0) }
            let all = decades.flatMap { decade in [1, 2, 5].map { $0 * decade } }.filter(domain.contains)
            return all.count <= 7 ? all : decades.filter(domain.contains)
        }
    }

    /// A round number in the fewest digits: "0.05", "2", "1000".
    static func label(_ value: Double) -> String {
        if value == value.rounded(), value.magnitude < 1e15 { return "\(Int(value))" }
        var digits = value.magnitude
        var decimals = 0
        while decimals < 9, (digits - digits.rounded()).magnitude > 1e-6 {
            digits *= 10
            decimals += 1
        }
        let whole = String(Int(digits.rounded()))
        let padded = String(repeating: "0", count: max(decimals + 1 - whole.count, 0)) + whole
        let text = decimals == 0 ? padded : padded.dropLast(decimals) + "." + padded.suffix(decimals)
        return (value < 0 ? "-" : "") + text
    }

    private static func power(_ base: Double, _ exponent: Int) -> Double {
        let power = (0..<exponent.magnitude).reduce(1) { result, _ in result * base }
        return exponent < 0 ? 1 / power : power
    }
}

import Testing

@testable import Charts

@Suite struct AxisTests {
    @Test(arguments: [
        (0.0...1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0...7.5, [0, 2, 4, 6]), (-3...3, [-3, -2, -1, 0, 1, 2, 3]),
        (0...0.013, [0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.012]), (0...1800, [0, 500, 1000, 1500]),
    ])
    func putsLinearTicksAtRoundNumbers(domain: ClosedRange<Double>, expected: [Double]) {
        let ticks = Axis.roundTicks(in: domain, .linear)
        #expect(ticks.count == expected.count)
        for (tick, value) in zip(ticks, expected) { #expect((tick - value).magnitude < 1e-9, "\(ticks)") }
    }

    @Test func putsLogarithmicTicksAtRoundNumbers() {
        #expect(Axis.roundTicks(in: 0.4...6, .logarithmic) == [0.5, 1, 2, 5])
        #expect(Axis.roundTicks(in: 0.5...20_000, .logarithmic) == [1, 10, 100, 1000, 10_000])
    }

    @Test(arguments: [
        (0.0, "0"), (1, "1"), (-2, "-2"), (0.5, "0.5"), (0.05, "0.05"), (0.002, "0.002"), (2.5, "2.5"),
        (-0.25, "-0.25"), (1000, "1000"), (0.1 + 0.2, "0.3"),
    ])
    func namesRoundNumbersShortly(value: Double, expected: String) { #expect(Axis.label(value) == expected) }

    @Test func showsAllValuesWithinTheAxis() {
        for scale in [Axis.Scale.linear, .logarithmic] {
            for values in [[1.0], [1, 1], [0.01, 1000], [3, 4]] {
                let axis = Axis("", scale, showing: values)
                for value in values { #expect((0...1).contains(axis.share(value)), "\(values)") }
                #expect(axis.share(axis.domain.lowerBound) == 0)
                #expect((axis.share(axis.domain.upperBound) - 1).magnitude < 1e-12)
            }
        }
        #expect(Axis("", .linear, showing: [2, 3], startsAtZero: true).domain.lowerBound == 0)
        // An equal ratio is an equal length on a logarithmic axis.
        let axis = Axis("", .logarithmic, showing: [1, 64])
        let steps = [1.0, 4, 16, 64].map(axis.share)
        for index in 1..<3 {
            #expect(((steps[index + 1] - steps[index]) - (steps[1] - steps[0])).magnitude < 1e-12)
        }
    }

    @Test func thinsTicksButKeepsTheLast() {
        let ticks = (0..<10).map { Axis.Tick(Double($0), "\($0)") }
        #expect(Axis.thinned(ticks, limit: 10) == ticks)
        #expect(Axis.thinned(ticks, limit: 5).map(\.label) == ["1", "3", "5", "7", "9"])
        #expect(Axis.thinned(ticks, limit: 1).map(\.label) == ["9"])
        #expect(Axis.thinned([], limit: 3).isEmpty)
    }
}

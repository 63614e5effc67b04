import Synchronization
import Testing

@testable import Terminal

/// A clock that a test sets and a sink that remembers.
private final class Stage: Sendable {
    private let seconds = Mutex(0.0)
    private let texts = Mutex<[String]>([])

    func wait(_ duration: Double) { seconds.withLock { $0 += duration } }

    var written: [String] { texts.withLock { $0 } }

    func reporter(_ traits: OutputTraits) -> ProgressReporter {
        ProgressReporter(
            traits: traits, sink: TextSink { text in self.texts.withLock { $0.append(text) } },
            now: { self.seconds.withLock { $0 } })
    }
}

private let terminal = OutputTraits(isTerminal: true, columns: 100, allowsColour: true, allowsUnicode: true)

@Suite struct ProgressMeterTests {
    private func meter(halfWay unit: ProgressUnit) -> ProgressMeter {
        var meter = ProgressMeter(label: "downloading", unit: unit)
        for step in 0...10 {
            meter.update(completed: step * 5_000_000, total: 100_000_000, seconds: Double(step) * 0.25)
        }
        return meter
    }

    @Test func showsShareAmountSpeedAndTimeLeft() {
        let meter = meter(halfWay: .bytes)
        let expected = "downloading  ▇▇▇▇▇▇▇▇▇▇░░░░░░░░░░   50.0 %  50.0 MB of 100.0 MB  20.0 MB/s  3 s left"
        #expect(meter.line(for: terminal) == expected)
    }

    @Test func countsThingsByName() {
        var meter = ProgressMeter(label: "scoring", unit: .things("tokens"))
        meter.update(completed: 0, total: nil, seconds: 10)
        #expect(meter.line(for: terminal) == "scoring  0 tokens")
        meter.update(completed: 512, total: nil, seconds: 12)
        #expect(meter.line(for: terminal) == "scoring  512 tokens  256.0 tokens/s")
        meter.update(completed: 1024, total: 4096, seconds: 14)
        #expect(meter.remainingSeconds == 12)
    }

    @Test func fitsEveryWidth() {
        let meter = meter(halfWay: .bytes)
        for columns in 1...120 {
            for allowsUnicode in [false, true] {
                let traits = OutputTraits(isTerminal: true, columns: columns, allowsUnicode: allowsUnicode)
                let line = meter.line(for: traits)
                #expect(line.displayWidth < max(columns, 1) || line.isEmpty)
                #expect(allowsUnicode || line.unicodeScalars.allSatisfy(\.isASCII))
            }
        }
    }

    @Test func forgetsTheSpeedOfLongAgo() throws {
        var meter = ProgressMeter(label: "x", unit: .bytes)
        for second in 0...100 { meter.update(completed: second, total: nil, seconds: Double(second)) }
        for second in 101...110 {
            meter.update(completed: 100 + (second - 100) * 50, total: nil, seconds: Double(second))
        }
        let speed = try #require(meter.perSecond)
        #expect(speed == 50)
    }

    @Test func survivesStrangeReports() {
        var meter = ProgressMeter(label: "a\u{1B}[2Jb", unit: .bytes)
        let reports: [(Int, Int?, Double)] = [
            (5, 0, 0), (-3, -7, 0), (Int.max, 1, 0), (Int.max, Int.max, 1), (0, Int.max, 2), (7, nil, 1), (8, 9, 1e300),
        ]
        for (completed, total, seconds) in reports {
            meter.update(completed: completed, total: total, seconds: seconds)
            let line = meter.line(for: terminal)
            #expect(!line.contains("\u{1B}") && line.displayWidth < 100)
        }
    }
}

@Suite struct ProgressReporterTests {
    @Test func writesNothingIntoAPipe() {
        let stage = Stage()
        let reporter = stage.reporter(.plain)
        for step in 0..<100 {
            reporter.update("pruning", completed: step, of: 100, unit: .things("layers"))
            stage.wait(1)
        }
        reporter.finish()
        #expect(stage.written.isEmpty)
        reporter.note("done\u{7}")
        #expect(stage.written == ["done\\u{7}\n"])
    }

    @Test func redrawsAtMostTenTimesASecondAndWipesTheLine() {
        let stage = Stage()
        let reporter = stage.reporter(terminal)
        for step in 0..<1000 {  // a report every 1/128 s, for 7.8 s
            reporter.update("pruning", completed: step, of: 1000, unit: .things("layers"))
            stage.wait(0x1p-7)
        }
        #expect((70...78).contains(stage.written.count))
        #expect(
            stage.written.allSatisfy { $0.hasPrefix("\rpruning") && $0.hasSuffix("\u{1B}[K") && !$0.contains("\n") })
        reporter.finish()
        #expect(stage.written.last == "\r\u{1B}[K")
        let count = stage.written.count
        reporter.finish()
        #expect(stage.written.count == count)
    }

    @Test func drawsANewStepAtOnce() {
        let stage = Stage()
        let reporter = stage.reporter(terminal)
        reporter.update("downloading", completed: 1, of: 2, unit: .bytes)
        reporter.update("downloading", completed: 2, of: 2, unit: .bytes)
        reporter.update("verifying", completed: 0, of: 2, unit: .bytes)
        #expect(stage.written.count == 2)
        #expect(stage.written[1].contains("verifying") && stage.written[1].contains("0.0 %"))
    }

    @Test func wipesTheLineWhenItIsForgotten() {
        let stage = Stage()
        do {
            let reporter = stage.reporter(terminal)
            reporter.update("x", completed: 1, unit: .bytes)
        }
        #expect(stage.written.last == "\r\u{1B}[K")
    }

    @Test func takesReportsFromManyTasks() async {
        let stage = Stage()
        let reporter = stage.reporter(terminal)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for step in 0..<500 {
                        reporter.update("task \(task % 2)", completed: step, of: 500, unit: .things("steps"))
                        stage.wait(0.001)
                    }
                }
            }
        }
        reporter.finish()
        #expect(stage.written.allSatisfy { $0.hasPrefix("\r") && $0.hasSuffix("\u{1B}[K") })
    }
}

import Testing

@testable import Terminal

@Suite struct FormatTests {
    @Test func countsBytesInDecimalUnits() {
        let expected = [
            (0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "1.0 kB"), (1049, "1.0 kB"), (1050, "1.1 kB"),
            (999_949, "999.9 kB"), (999_950, "1.0 MB"), (98_362_432, "98.4 MB"), (1_000_000_000, "1.0 GB"),
            (Int.max, "9.2 EB"), (-98_362_432, "-98.4 MB"), (Int.min, "-9.2 EB"),
        ]
        for (count, text) in expected { #expect(Format.bytes(count) == text) }
    }

    @Test func countsParametersInBillions() {
        let expected = [
            (0, "0"), (999, "999"), (1000, "1.0 K"), (134_515_008, "134.5 M"), (999_960_000, "1.0 B"),
            (6_738_415_616, "6.7 B"), (Int.max, "9223372.0 T"),
        ]
        for (count, text) in expected { #expect(Format.count(count) == text) }
    }

    @Test func carriesRoundedDurationsIntoTheNextUnit() {
        let expected = [
            (0, "0 µs"), (0.000_340, "340 µs"), (0.000_999_4, "999 µs"), (0.000_999_6, "1 ms"), (0.85, "850 ms"),
            (0.999_6, "1.0 s"), (12.34, "12.3 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (65, "1 min 05 s"),
            (3599.6, "1 h 00 min"), (7620, "2 h 07 min"), (86_399.6, "1 d 00 h"), (273_600, "3 d 04 h"),
        ]
        for (seconds, text) in expected { #expect(Format.duration(seconds: seconds) == text) }
        #expect(Format.wholeDuration(seconds: 2.6) == "3 s")
    }

    @Test func showsWhatIsNoNumberAsNotAvailable() {
        for value in [Double.nan, .infinity, -.infinity] {
            #expect(Format.duration(seconds: value) == "n/a")
            #expect(Format.wholeDuration(seconds: value) == "n/a")
            #expect(Format.rate(bytesPerSecond: value) == "n/a/s")
            #expect(Format.percentage(value) == "n/a %")
            #expect(Format.fixed(value, decimals: 2) == "n/a")
        }
        #expect(Format.duration(seconds: -1) == "n/a")
        #expect(Format.wholeDuration(seconds: 1e300) == "n/a")
    }

    @Test func writesSharesAndRates() {
        #expect(Format.percentage(0.5) == "50.0 %")
        #expect(Format.percentage(0.99996) == "100.0 %")
        #expect(Format.percentage(-0.0001) == "0.0 %")
        #expect(Format.percentage(0.123456, decimals: 3) == "12.346 %")
        #expect(Format.rate(bytesPerSecond: 12_340_000) == "12.3 MB/s")
        #expect(Format.rate(41.68, of: "tokens") == "41.7 tokens/s")
        #expect(Format.rate(999.96, of: "tokens") == "1.0 K tokens/s")
        #expect(Format.rate(12_345, of: "tokens") == "12.3 K tokens/s")
    }

    @Test func roundsToFixedDecimals() {
        #expect(Format.fixed(1.005, decimals: 2) == "1.00")  // 1.005 is a little less in binary
        #expect(Format.fixed(0.125, decimals: 2) == "0.13")
        #expect(Format.fixed(-0.125, decimals: 2) == "-0.13")
        #expect(Format.fixed(-0.001, decimals: 2) == "0.00")
        #expect(Format.fixed(0.05, decimals: 2) == "0.05")
        #expect(Format.fixed(12, decimals: 0) == "12")
        #expect(Format.fixed(1e300, decimals: 2) == "1e+300")
        #expect(Format.fixed(0.999_999_999_9, decimals: 9) == "1.000000000")
    }
}

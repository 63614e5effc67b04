/// Numbers as people read them.
///
/// Units are decimal throughout: 1 kB = 1000 bytes, 1 MB = 1000 kB, as file managers, package indexes and disk makers
/// count. Rounding can carry into the next unit (999,960 bytes are "1.0 MB", never "1000.0 kB"). The decimal point is
/// a full stop in every locale, so that output can be compared.
public enum Format {
    /// A size: "532 B", "98.4 MB".
    public static func bytes(_ count: Int) -> String {
        scaled(Double(count), units: ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
    }

    /// A number of things: "950", "134.5 M", "1.2 B" (billions, as parameters are counted).
    public static func count(_ count: Int) -> String {
        scaled(Double(count), units: ["", "K", "M", "B", "T"])
    }

    /// A speed in bytes: "12.3 MB/s".
    public static func rate(bytesPerSecond: Double) -> String {
        scaled(bytesPerSecond, units: ["B", "kB", "MB", "GB", "TB"]) + "/s"
    }

    /// A speed in things: "41.7 tokens/s".
    public static func rate(_ perSecond: Double, of things: String) -> String {
        let isSmall = abs(perSecond) < 999.95
        let number = isSmall ? fixed(perSecond, decimals: 1) : scaled(perSecond, units: ["", "K", "M", "B"])
        return "\(number) \(things)/s"
    }

    /// A share: 0.5 is "50.0 %".
    public static func percentage(_ share: Double, decimals: Int = 1) -> String {
        fixed(share * 100, decimals: decimals) + " %"
    }

    /// A measured time: "340 µs", "850 ms", "12.3 s", "1 min 05 s", "2 h 07 min", "3 d 04 h".
    public static func duration(seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0 else { return "n/a" }
        if seconds < 0.000_999_5 { return fixed(seconds * 1e6, decimals: 0) + " µs" }
        if seconds < 0.999_5 { return fixed(seconds * 1e3, decimals: 0) + " ms" }
        if seconds < 59.95 { return fixed(seconds, decimals: 1) + " s" }
        return wholeDuration(seconds: seconds)
    }

    /// A time that is only guessed, in whole seconds and up: "3 s", "1 min 05 s".
    public static func wholeDuration(seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "n/a" }
        let whole = Int(seconds.rounded())
        switch whole {
        case ..<60: return "\(whole) s"
        case ..<3600: return "\(whole / 60) min \(twoDigits(whole % 60)) s"
        case ..<86_400: return "\(whole / 3600) h \(twoDigits(whole / 60 % 60)) min"
        default: return "\(whole / 86_400) d \(twoDigits(whole / 3600 % 24)) h"
        }
    }

    /// `value` with exactly `decimals` digits after the point, halves rounded away from zero; "n/a" if not finite.
    public static func fixed(_ value: Double, decimals: Int) -> String {
        precondition((0...9).contains(decimals), "\(decimals) decimals: at most 9 are supported")
        guard value.isFinite else { return "n/a" }
        var unit = 1
        for _ in 0..<decimals { unit *= 10 }
        let scaled = (abs(value) * Double(unit)).rounded(.toNearestOrAwayFromZero)
        // Beyond 2^53 neighbouring doubles are whole numbers apart: digits after the point would be invented.
        guard scaled < 0x1p53 else { return "\(value)" }
        let whole = Int(scaled)
        let sign = value < 0 && whole > 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(whole)" }
        let fraction = String(whole % unit)
        return "\(sign)\(whole / unit)." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }

    private static func scaled(_ value: Double, units: [String]) -> String {
        guard value.isFinite else { return "n/a" }
        // A fraction of the smallest unit would be noise, so only the larger ones get a decimal.
        guard abs(value).rounded() >= 1000 else { return suffixed(fixed(value, decimals: 0), units[0]) }
        var scaled = value / 1000
        var unit = 1
        while (abs(scaled) * 10).rounded() >= 10_000, unit < units.count - 1 {
            scaled /= 1000
            unit += 1
        }
        return suffixed(fixed(scaled, decimals: 1), units[unit])
    }

    private static func suffixed(_ number: String, _ unit: String) -> String {
        unit.isEmpty ? number : "\(number) \(unit)"
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

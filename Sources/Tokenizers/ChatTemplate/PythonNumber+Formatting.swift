#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension PythonNumber {
    /// `value` as C's printf writes it for a conversion such as `f`, `e` or `g`, correctly rounded.
    /// - Precondition: `precision` is in 0...400, and `value` is finite.
    static func printed(_ value: Double, precision: Int, conversion: Character, isAlternate: Bool = false) -> String {
        precondition((0...400).contains(precision) && value.isFinite, "outside what the buffer below holds")
        // A Double has at most 309 digits before its point.
        let capacity = 400 + 309 + 8
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
            let format = "%\(isAlternate ? "#" : "").*\(conversion)"
            let count = withVaList([Int32(precision), value]) { vsnprintf(buffer.baseAddress!, capacity, format, $0) }
            return String(decoding: buffer[..<Int(count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// Python's `round` of a float: to the nearest decimal, exact halves to the even one.
    static func rounded(_ value: Double, precision: Int) -> Double {
        guard value.isFinite else { return value }
        if precision >= 0 { return Double(printed(value, precision: precision, conversion: "f")) ?? value }
        let scale = powerOfTen(-precision)
        return (value / scale).rounded(.toNearestOrEven) * scale
    }

    /// Python's `round` of an integer; nil if the result overflows.
    static func rounded(_ value: Int, precision: Int) -> Int? {
        guard precision < 0 else { return value }
        guard precision >= -18 else { return 0 }
        var scale = 1
        for _ in 0..<(-precision) { scale *= 10 }
        let remainder = remainder(value, scale)
        let (low, overflow) = value.subtractingReportingOverflow(remainder)
        guard !overflow else { return nil }
        let isUp = remainder > scale - remainder || remainder == scale - remainder && (low / scale) % 2 != 0
        guard isUp else { return low }
        let (high, highOverflow) = low.addingReportingOverflow(scale)
        return highOverflow ? nil : high
    }

    static func powerOfTen(_ exponent: Int) -> Double { pow(10, Double(exponent)) }
}

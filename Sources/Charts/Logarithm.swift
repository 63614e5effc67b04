#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension Axis {
    static func logarithm(_ value: Double) -> Double { log(value) }

    static func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
}

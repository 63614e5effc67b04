#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

// Named by themselves, so that one file needs to know where they come from.
func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
func cosine(_ angle: Double) -> Double { cos(angle) }
func sine(_ angle: Double) -> Double { sin(angle) }
func logarithm(_ value: Double) -> Double { log(value) }

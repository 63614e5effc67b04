#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The mean that suits ratios: of twice and half as fast it is 1.
/// - Precondition: at least one value; all are positive.
func geometricMean(_ values: [Double]) -> Double {
    precondition(!values.isEmpty && values.allSatisfy { $0 > 0 })
    return exp(values.reduce(0) { $0 + log($1) } / Double(values.count))
}

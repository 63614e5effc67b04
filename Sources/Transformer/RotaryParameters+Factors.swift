#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension RotaryParameters {
    /// What each frequency is divided by where single ones are stretched, as GGUF's `rope_freqs.weight` says it; nil
    /// where they are not.
    public func frequencyFactors(headSize: Int) -> [Float]? {
        guard case .llama3 = scaling else { return nil }
        return frequencies(headSize: headSize).enumerated().map { index, frequency in
            Float(pow(base, -2 * Double(index) / Double(headSize)) / frequency)
        }
    }

    /// What positions are divided by; nil where they are not.
    public var linearFactor: Double? {
        if case .linear(let factor) = scaling { factor } else { nil }
    }
}

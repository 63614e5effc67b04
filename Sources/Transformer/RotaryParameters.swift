#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import OrderedJSON

/// The frequencies of the rotary position embedding and how they are stretched for long contexts.
///
/// Source: Su et al., RoFormer, arXiv:2104.09864; scaling "llama3" as published with Llama 3.1.
public struct RotaryParameters: Sendable, Equatable {
    public enum Scaling: Sendable, Equatable {
        case none
        /// Positions are divided by a factor.
        case linear(factor: Double)
        /// Long wavelengths are divided by a factor, short ones kept, those between interpolated.
        case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalContext: Double)
    }

    public let base: Double
    public let scaling: Scaling

    /// Reads both spellings: `rope_theta` with `rope_scaling`, and `rope_parameters` that holds all.
    /// - Parameter defaultBase: the base where there is no entry.
    init(_ json: JSON, defaultBase: Double = 10_000) throws(ModelError) {
        let parameters = json.entry("rope_parameters")
        let section = parameters ?? json.entry("rope_scaling")
        func number(_ key: String, in section: JSON?, default fallback: Double? = nil) throws(ModelError) -> Double {
            guard let entry = section?.entry(key) else {
                if let fallback { return fallback }
                throw ModelError("\(key) of the rotary scaling in config.json", expected: "a number", found: "no entry")
            }
            guard let value = entry.doubleValue, value.isFinite, value > 0 else {
                throw ModelError("\(key) in config.json", expected: "a positive number", found: entry.text())
            }
            return value
        }
        // Of models that rotate their layers differently.
        if let name = parameters?.objectValue?.first(where: { $0.value.objectValue != nil })?.key {
            throw ModelError(
                "rope_parameters in config.json", expected: "the same for all layers", found: "\"\(name)\"")
        }
        for place in [json, section] {
            let share = try number("partial_rotary_factor", in: place, default: 1)
            guard share == 1 else {
                throw ModelError("partial_rotary_factor in config.json", expected: "1", found: "\(share)")
            }
        }
        let top = try number("rope_theta", in: json, default: defaultBase)
        base = try number("rope_theta", in: parameters, default: top)
        let kind = section?["rope_type"]?.stringValue ?? section?["type"]?.stringValue ?? "default"
        switch kind {
        case "default": scaling = .none
        case "linear": scaling = .linear(factor: try number("factor", in: section))
        case "llama3":
            let low = try number("low_freq_factor", in: section)
            let high = try number("high_freq_factor", in: section)
            guard high > low else {
                throw ModelError("high_freq_factor in config.json", expected: "more than \(low)", found: "\(high)")
            }
            scaling = .llama3(
                factor: try number("factor", in: section), lowFrequency: low, highFrequency: high,
                originalContext: try number("original_max_position_embeddings", in: section))
        default:
            throw ModelError("rope_type in config.json", expected: "default, linear or llama3", found: "\"\(kind)\"")
        }
    }

    /// Radians per position of each pair: `headSize / 2` elements.
    /// - Parameter factors: what each frequency is divided by besides (GGUF's `rope_freqs.weight`, which holds the
    ///   result of the llama3 rule), or nil.
    public func frequencies(headSize: Int, factors: [Float]? = nil) -> [Double] {
        (0..<headSize / 2).map { index in
            let frequency = pow(base, -2 * Double(index) / Double(headSize))
            if let factors { return frequency / Double(factors[index]) }
            switch scaling {
            case .none: return frequency
            case .linear(let factor): return frequency / factor
            case .llama3(let factor, let low, let high, let context):
                let turns = context * frequency / (2 * .pi)
                if turns < low { return frequency / factor }
                if turns > high { return frequency }
                let share = (turns - low) / (high - low)
                return (1 - share) * frequency / factor + share * frequency
            }
        }
    }
}

import Foundation
import OrderedJSON
import Testing

@testable import Transformer

@Suite struct RotaryTests {
    /// RoFormer, section 3.2.2.
    static func frequencies(base: Double, headSize: Int) -> [Double] {
        (0..<headSize / 2).map { 1 / pow(base, Double(2 * $0) / Double(headSize)) }
    }

    /// The rule as published with Llama 3.1, in wavelengths.
    static func llama3(_ frequency: Double, factor: Double, low: Double, high: Double, context: Double) -> Double {
        let wavelength = 2 * Double.pi / frequency
        if wavelength < context / high { return frequency }
        if wavelength > context / low { return frequency / factor }
        let smooth = (context / wavelength - low) / (high - low)
        return (1 - smooth) * frequency / factor + smooth * frequency
    }

    private static func isClose(_ found: [Double], _ expected: [Double]) -> Bool {
        found.count == expected.count && zip(found, expected).allSatisfy { abs($0 - $1) <= 1e-12 * abs($1) }
    }

    @Test(arguments: [2, 8, 64, 80, 128]) func matchesTheFormula(headSize: Int) throws {
        let plain = try RotaryParameters(["rope_theta": 10_000])
        #expect(plain.scaling == .none)
        #expect(
            Self.isClose(
                plain.frequencies(headSize: headSize), Self.frequencies(base: 10_000, headSize: headSize)))
        #expect(try RotaryParameters([:]) == plain)
        #expect(try RotaryParameters(["rope_scaling": nil]) == plain)
        #expect(try RotaryParameters(["rope_scaling": ["rope_type": "default"]]) == plain)
        let linear = try RotaryParameters(["rope_theta": 5_000, "rope_scaling": ["type": "linear", "factor": 2.5]])
        let expected = Self.frequencies(base: 5_000, headSize: headSize).map { $0 / 2.5 }
        #expect(Self.isClose(linear.frequencies(headSize: headSize), expected))
    }

    @Test(arguments: [64, 128]) func matchesLlama3(headSize: Int) throws {
        let section: JSON = [
            "rope_type": "llama3", "factor": 32, "low_freq_factor": 1, "high_freq_factor": 4,
            "original_max_position_embeddings": 8192, "rope_theta": 500_000,
        ]
        let expected = Self.frequencies(base: 500_000, headSize: headSize).map {
            Self.llama3($0, factor: 32, low: 1, high: 4, context: 8192)
        }
        // Both spellings.
        let old = try RotaryParameters(["rope_theta": 500_000, "rope_scaling": section])
        let new = try RotaryParameters(["rope_parameters": section])
        #expect(old == new)
        let found = new.frequencies(headSize: headSize)
        #expect(Self.isClose(found, expected))
        // All three cases of the rule are there.
        let ratios = zip(found, Self.frequencies(base: 500_000, headSize: headSize)).map { $0 / $1 }
        #expect(ratios.first == 1)
        #expect(abs(ratios.last! - 1.0 / 32) < 1e-12)
        #expect(ratios.contains { $0 > 0.04 && $0 < 0.99 })
    }

    /// GGUF files hold the divisors; the scaling in the configuration is then already in them.
    @Test func dividesByStoredFactors() throws {
        let parameters = try RotaryParameters(["rope_theta": 100])
        #expect(Self.isClose(parameters.frequencies(headSize: 4, factors: [1, 8]), [1, 0.1 / 8]))
    }

    private static let llama3Section: JSON = [
        "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
        "original_max_position_embeddings": 8192,
    ]

    @Test(arguments: ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"])
    func refusesLlama3Without(key: String) {
        var section = Self.llama3Section.objectValue!
        section[key] = nil
        #expect {
            try RotaryParameters(["rope_scaling": .object(section)])
        } throws: {
            "\($0)" == "\(key) of the rotary scaling in config.json: expected a number, found no entry"
        }
        for bad: JSON in [0, -1, "eight", .number(.infinity), .number(.nan)] {
            section[key] = bad
            #expect(throws: ModelError.self) { try RotaryParameters(["rope_scaling": .object(section)]) }
        }
    }

    @Test func refusesWhatItDoesNotKnow() {
        #expect(
            throws: ModelError(
                "rope_type in config.json", expected: "default, linear, llama3, yarn, longrope or dynamic",
                found: "\"proportional\"")
        ) {
            try RotaryParameters(["rope_scaling": ["rope_type": "proportional", "factor": 4]])
        }
        #expect(throws: ModelError.self) { try RotaryParameters(["rope_theta": 0]) }
        #expect(throws: ModelError.self) { try RotaryParameters(["rope_theta": "large"]) }
        #expect(throws: ModelError.self) { try RotaryParameters(["rope_scaling": ["type": "linear"]]) }
        var section = Self.llama3Section.objectValue!
        section["high_freq_factor"] = 1
        #expect(throws: ModelError("high_freq_factor in config.json", expected: "more than 1.0", found: "1.0")) {
            try RotaryParameters(["rope_scaling": .object(section)])
        }
    }
}

import Foundation
import OrderedJSON
import Testing

@testable import Transformer

/// Scalings for long contexts, against frequencies that transformers computes (scripts/make-rotary-vectors).
@Suite struct RotaryScalingTests {
    private static let vectors: [JSON] = {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/rotary.json")
        return try! JSON(parsing: [UInt8](Data(contentsOf: path))).arrayValue!
    }()

    @Test func matchTransformers() throws {
        #expect(Self.vectors.count >= 11)
        for vector in Self.vectors {
            let configuration = vector["configuration"]!
            let expected = vector["frequencies"]!.arrayValue!.map { $0.doubleValue! }
            let parameters = try RotaryParameters(
                configuration, context: configuration["max_position_embeddings"]!.intValue!)
            try parameters.check(headSize: 2 * expected.count)
            let found = parameters.frequencies(
                headSize: 2 * expected.count, isLong: parameters.isLong(vector["length"]!.intValue!))
            #expect(found.count == expected.count)
            for (found, expected) in zip(found, expected) {
                #expect(abs(found - expected) <= 2e-6 * expected, "\(vector)")
            }
            let factor = vector["attention_factor"]!.doubleValue!
            #expect(abs(parameters.attentionFactor - factor) <= 1e-12 * factor, "\(vector)")
        }
    }

    private static let yarn: JSON = ["type": "yarn", "factor": 4, "original_max_position_embeddings": 64]
    private static let longRope: JSON = [
        "type": "longrope", "short_factor": [1, 2], "long_factor": [3, 4], "original_max_position_embeddings": 64,
    ]

    @Test(
        arguments: [
            (yarn, "factor", 0, "a number in 1e-6...1e12", "0"),
            (yarn, "factor", -4, "a number in 1e-6...1e12", "-4"),
            (yarn, "factor", 1e300, "a number in 1e-6...1e12", "1e+300"),
            (yarn, "factor", "four", "a number in 1e-6...1e12", "\"four\""),
            (yarn, "original_max_position_embeddings", -1, "a number in 1e-6...1e12", "-1"),
            (yarn, "attention_factor", -1, "a number in 1e-6...1e12", "-1"),
            (yarn, "beta_fast", 0.5, "at least 1.0, beta_slow", "0.5"),
            (yarn, "mscale", -0.5, "a number in 1e-6...1e12", "-0.5"),
            (yarn, "truncate", "no", "true or false", "\"no\""),
            (yarn, "rope_theta", 1, "more than 1 for yarn", "1.0"),
            (longRope, "short_factor", [1], "2 numbers, for heads of 4", "1"),
            (longRope, "long_factor", [1, 2, 3], "2 numbers, for heads of 4", "3"),
            (longRope, "long_factor", [1, 0], "a number in 1e-6...1e12", "0"),
            (longRope, "long_factor", [1, "two"], "a number in 1e-6...1e12", "\"two\""),
            (longRope, "long_factor", 2, "a list of numbers", "an integer"),
            (longRope, "original_max_position_embeddings", 1, "a whole number of at least 2", "1.0"),
            (longRope, "original_max_position_embeddings", 2.5, "a whole number of at least 2", "2.5"),
        ] as [(JSON, String, JSON, String, String)])
    func refuses(section: JSON, key: String, value: JSON, expected: String, found: String) {
        var members = section.objectValue!
        members["rope_type"] = members.removeValue(forKey: "type")
        members[key] = value
        #expect(throws: ModelError("\(key) in config.json", expected: expected, found: found)) {
            try RotaryParameters(["rope_parameters": .object(members)], context: 256).check(headSize: 4)
        }
        for hostile: JSON in [.number(.nan), .number(.infinity), .array([.number(.nan), .number(.nan)]), .object([:])] {
            members[key] = hostile
            #expect(throws: ModelError.self) {
                try RotaryParameters(["rope_parameters": .object(members)], context: 256).check(headSize: 4)
            }
        }
    }

    @Test func refuseTooLittle() {
        for (section, key, expected) in [
            (Self.longRope, "short_factor", "numbers"), (Self.longRope, "long_factor", "numbers"),
            (Self.yarn, "factor", "a number"), (Self.yarn, "original_max_position_embeddings", "a number"),
        ] {
            var members = section.objectValue!
            members[key] = nil
            let error = ModelError(
                "\(key) of the rotary scaling in config.json", expected: expected, found: "no entry")
            #expect(throws: error) { try RotaryParameters(["rope_scaling": .object(members)]) }
        }
    }

    @Test func chooseByTheWholeSequence() throws {
        let parameters = try RotaryParameters(["rope_scaling": Self.longRope], context: 256)
        #expect(!parameters.isLong(64) && parameters.isLong(65))
        let rotation = Rotation(parameters, headSize: 4)
        func angles(_ position: Int, _ length: Int) -> [Double] {
            var (cosines, sines) = ([Float](repeating: 0, count: 2), [Float](repeating: 0, count: 2))
            rotation.turn(position: position, ofSequence: length, cosines: &cosines, sines: &sines)
            return zip(cosines, sines).map { atan2(Double($1), Double($0)) }
        }
        let factor = parameters.attentionFactor
        #expect(abs(factor - (1 + log(4.0) / log(64.0)).squareRoot()) < 1e-12)
        for (length, divisors) in [(64, [1.0, 2.0]), (65, [3.0, 4.0])] {
            for (found, expected) in zip(angles(1, length), [1 / divisors[0], 0.01 / divisors[1]]) {
                #expect(abs(found - expected) < 1e-6)
            }
        }
    }
}

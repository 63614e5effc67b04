import CKernels
import Foundation
import KernelsUnderTest
import Sparse
import TestSupport
import Testing

/// Norm, rotation, activation, addition and widening against double precision, for widths around every vector length.
@Suite struct ElementwiseKernelTests {
    static let widths = [1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 576]

    private static func isClose(_ found: [Float], _ expected: [Double], _ tolerance: Double) -> Bool {
        zip(found, expected).allSatisfy { abs(Double($0) - $1) <= tolerance * max(abs($1), 1e-3) }
            && found.count == expected.count
    }

    @Test(arguments: widths) func normalizes(width: Int) {
        for (scale, epsilon) in [(1, 1e-5), (1e-4, 1e-6), (1e4, 1e-5), (0, 1e-5)] as [(Float, Float)] {
            let input = randomValues(width, seed: 1).map { $0 * scale }
            let weight = randomValues(width, seed: 2)
            let mean = input.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(width)
            let factor = 1 / (mean + Double(epsilon)).squareRoot()
            let expected = zip(input, weight).map { Double($0) * factor * Double($1) }
            for kernels in Kernels.underTest {
                let (x, w) = (GuardedBuffer(input), GuardedBuffer(weight))
                let output = GuardedBuffer([Float](repeating: .nan, count: width))
                kernels.table.rms_norm(x.pointer, w.pointer, Int64(width), epsilon, output.pointer)
                let isClose = Self.isClose(Array(output.elements), expected, 2e-6)
                #expect(isClose, "\(kernels.instructionSet), \(scale)")
            }
        }
    }

    /// Also where the mean is large beside what lies around it, and in place.
    @Test(arguments: widths) func normalizesAroundTheMean(width: Int) {
        for (scale, shift, epsilon) in [(1, 0, 1e-5), (1, 50, 1e-5), (1e-4, 0, 1e-6), (0, 3, 1e-5)]
            as [(
                Float, Float, Float
            )]
        {
            let input = randomValues(width, seed: 1).map { $0 * scale + shift }
            let (weight, bias) = (randomValues(width, seed: 2), randomValues(width, seed: 3))
            let mean = input.reduce(0.0) { $0 + Double($1) } / Double(width)
            let variance = input.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(width)
            let factor = 1 / (variance + Double(epsilon)).squareRoot()
            let expected = input.indices.map {
                (Double(input[$0]) - mean) * factor * Double(weight[$0]) + Double(bias[$0])
            }
            // A float32 mean is off by its last bit, which the factor may enlarge.
            let tolerance = 3e-6 + Double(shift) * factor * 1e-6
            for kernels in Kernels.underTest {
                let (x, w, b) = (GuardedBuffer(input), GuardedBuffer(weight), GuardedBuffer(bias))
                kernels.table.layer_norm(x.pointer, w.pointer, b.pointer, Int64(width), epsilon, x.pointer)
                let error = largestDifference([Array(x.elements)], [expected])
                #expect(error <= tolerance, "\(kernels.instructionSet), \(scale), \(shift)")
            }
        }
    }

    @Test(arguments: widths) func normalizesHeads(width: Int) {
        let heads = 3
        let input = randomValues(heads * width, seed: 1)
        let weight = randomValues(width, seed: 2)
        for kernels in Kernels.underTest {
            let (x, w) = (GuardedBuffer(input), GuardedBuffer(weight))
            kernels.table.rms_norm_heads(x.pointer, Int64(heads), Int64(width), w.pointer, 1e-5)
            for head in 0..<heads {
                let part = GuardedBuffer(Array(input[head * width..<(head + 1) * width]))
                kernels.table.rms_norm(part.pointer, w.pointer, Int64(width), 1e-5, part.pointer)
                #expect(Array(x.elements[head * width..<(head + 1) * width]) == Array(part.elements))
            }
        }
    }

    private static let activations: [(name: String, exact: @Sendable (Double) -> Double)] = [
        ("relu", { max($0, 0) }), ("gelu", { $0 * erfc(-$0 / 2.0.squareRoot()) / 2 }),
        (
            "gelu_tanh",
            { x in
                let u = (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
                return x / (1 + exp(-2 * u))
            }
        ),
    ]

    /// Both tails keep their digits until nothing is left of them.
    @Test(arguments: widths, [0, 1, 2]) func activatesWithoutAGate(width: Int, index: Int) {
        let (name, exact) = Self.activations[index]
        for range: Float in [1e-3, 1, 2.5, 7, 80, 1e20] {
            let input = randomValues(width, seed: 5).map { $0 / 2 * range }
            let expected = input.map { exact(Double($0)) }
            for kernels in Kernels.underTest {
                let table = kernels.table
                let kernel = index == 0 ? table.relu : index == 1 ? table.gelu : table.gelu_tanh
                let values = GuardedBuffer(input)
                kernel!(values.pointer, Int64(width))
                for (index, y) in expected.enumerated() {
                    // An exponent of 80 has lost digits before it is one: tails are right to fewer.
                    let error = abs(Double(values.elements[index]) - y)
                    let size = max(Double(abs(input[index])), 1)
                    let tolerance = min(3e-5 * abs(y) + 2e-36 * size, 1e-6 * size)
                    #expect(error <= tolerance, "\(name), \(kernels.instructionSet), \(range)")
                }
                values.elements[width - 1] = .nan
                kernel!(values.pointer, Int64(width))
                #expect(values.elements[width - 1].isNaN, "\(name), \(kernels.instructionSet)")
            }
        }
    }

    @Test(arguments: widths) func activatesGatesByGelu(width: Int) {
        for range: Float in [1e-3, 1, 7, 80, 1e20] {
            let gate = randomValues(width, seed: 5).map { $0 / 2 * range }
            let up = randomValues(width, seed: 6)
            for kernels in Kernels.underTest {
                let (plain, gated, u) = (GuardedBuffer(gate), GuardedBuffer(gate), GuardedBuffer(up))
                kernels.table.gelu_tanh(plain.pointer, Int64(width))
                kernels.table.gelu_tanh_multiply(gated.pointer, u.pointer, Int64(width))
                let expected = zip(plain.elements, up).map { $0 * $1 }
                #expect(Array(gated.elements) == expected, "\(kernels.instructionSet), \(range)")
            }
        }
    }

    @Test(arguments: widths) func capsSoftly(width: Int) {
        for range: Float in [1e-3, 1, 50, 1e4, 1e30] {
            for cap: Float in [0.5, 30, 50] {
                let input = randomValues(width, seed: 7).map { $0 * range }
                for kernels in Kernels.underTest {
                    let values = GuardedBuffer(input)
                    kernels.table.soft_cap(values.pointer, Int64(width), cap)
                    for (found, x) in zip(values.elements, input) {
                        let error = abs(Double(found) - Double(cap) * tanh(Double(x) / Double(cap)))
                        #expect(error <= 4e-7 * Double(cap), "\(kernels.instructionSet), \(range)")
                    }
                    values.elements[width - 1] = .nan
                    kernels.table.soft_cap(values.pointer, Int64(width), cap)
                    #expect(values.elements[width - 1].isNaN, "\(kernels.instructionSet)")
                }
            }
        }
    }

    @Test(arguments: widths) func rotates(half: Int) {
        let heads = 3
        let input = randomValues(heads * 2 * half, seed: 3)
        let angles = randomValues(half, seed: 4).map { Double($0) * 3 }
        var expected = input.map(Double.init)
        for head in 0..<heads {
            for pair in 0..<half {
                let (first, second) = (head * 2 * half + pair, head * 2 * half + half + pair)
                let (a, b) = (Double(input[first]), Double(input[second]))
                expected[first] = a * cos(angles[pair]) - b * sin(angles[pair])
                expected[second] = b * cos(angles[pair]) + a * sin(angles[pair])
            }
        }
        for kernels in Kernels.underTest {
            let values = GuardedBuffer(input)
            let cosines = GuardedBuffer(angles.map { Float(cos($0)) })
            let sines = GuardedBuffer(angles.map { Float(sin($0)) })
            kernels.table.rotate(values.pointer, Int64(heads), Int64(2 * half), cosines.pointer, sines.pointer)
            let error = largestDifference([Array(values.elements)], [expected])
            #expect(error <= 1e-6, "\(kernels.instructionSet)")
        }
    }

    @Test(arguments: widths) func activates(width: Int) {
        // From where the sigmoid is 0 to where it is 1, beyond the range of exp on both sides.
        for range: Float in [1, 10, 80, 200, 1e20] {
            let gate = randomValues(width, seed: 5).map { $0 / 2 * range }
            let up = randomValues(width, seed: 6)
            let expected = zip(gate, up).map { Double($0) / (1 + exp(-Double($0))) * Double($1) }
            for kernels in Kernels.underTest {
                let (g, u) = (GuardedBuffer(gate), GuardedBuffer(up))
                kernels.table.silu_multiply(g.pointer, u.pointer, Int64(width))
                let isClose = Self.isClose(Array(g.elements), expected, 1e-6)
                #expect(isClose, "\(kernels.instructionSet), \(range)")
            }
        }
    }

    @Test func activationPassesNaNOn() {
        for kernels in Kernels.underTest {
            for width in [1, 17] {
                let gate = GuardedBuffer([Float](repeating: 1, count: width))
                gate.elements[width - 1] = .nan
                let up = GuardedBuffer([Float](repeating: 1, count: width))
                kernels.table.silu_multiply(gate.pointer, up.pointer, Int64(width))
                #expect(gate.elements[width - 1].isNaN)
                #expect(width == 1 || abs(gate.elements[0] - 0.731_058_6) < 1e-6)
            }
        }
    }

    @Test(arguments: widths) func softens(width: Int) {
        for range: Float in [1, 50, 1e30] {
            let scores = randomValues(width, seed: 9).map { $0 * range }
            let largest = scores.map { Double($0 * 0.5) }.max()!
            let weights = scores.map { exp(Double($0 * 0.5) - largest) }
            let expected = weights.map { $0 / weights.reduce(0, +) }
            for kernels in Kernels.underTest {
                let found = GuardedBuffer(scores)
                kernels.table.softmax(found.pointer, Int64(width), 0.5)
                for (x, y) in zip(found.elements, expected) {
                    let error = abs(Double(x) - y)
                    #expect(error <= 1e-5 * y + 1e-37, "\(kernels.instructionSet), \(range)")
                }
                found.elements[width - 1] = .nan
                kernels.table.softmax(found.pointer, Int64(width), 0.5)
                #expect(found.elements.allSatisfy { $0.isNaN })
            }
        }
    }

    @Test(arguments: widths) func adds(width: Int) {
        let (a, b) = (randomValues(width, seed: 7), randomValues(width, seed: 8))
        for kernels in Kernels.underTest {
            let (target, addend) = (GuardedBuffer(a), GuardedBuffer(b))
            kernels.table.add(target.pointer, addend.pointer, Int64(width))
            #expect(Array(target.elements) == zip(a, b).map { $0 + $1 })
        }
    }

    /// Every pattern of 16 bits, and runs of every length.
    @Test func widensExactly() {
        let patterns = Array(UInt16.min...UInt16.max)
        for kernels in Kernels.underTest {
            for (element, expected) in [
                (FLASH_F16, patterns.map { Float(Float16(bitPattern: $0)) }),
                (FLASH_BF16, patterns.map { Float(bitPattern: UInt32($0) << 16) }),
            ] {
                let found = Self.widened(patterns, element, kernels)
                // NaN payloads aside, the same bits.
                let same = zip(found, expected).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN }
                #expect(same, "\(kernels.instructionSet)")
                for width in Self.widths {
                    let run = Array(patterns[15_000..<15_000 + width])
                    #expect(Self.widened(run, element, kernels) == Array(expected[15_000..<15_000 + width]))
                }
            }
            let floats = randomValues(33, seed: 9)
            #expect(Self.widened(floats, FLASH_F32, kernels) == floats)
        }
    }

    private static func widened<Element: BitwiseCopyable>(
        _ values: [Element], _ element: flash_element, _ kernels: Kernels
    ) -> [Float] {
        let input = GuardedBuffer(values)
        let output = GuardedBuffer([Float](repeating: .nan, count: values.count))
        kernels.table.widen(input.pointer, element, Int64(values.count), output.pointer)
        return Array(output.elements)
    }
}

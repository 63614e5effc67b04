import Sparse
import Tensors
import Testing

/// What matrices become by a cost model.
@Suite struct PackingChoiceTests {
    private let pool = WorkerPool(threadCount: 3)

    private func pack(
        density: Double, _ choice: FormatChoice, values: ValueChoice = .exact
    ) throws -> PackedMatrix.Packing {
        let (rows, columns) = (256, 320)
        let elements = randomMatrix(rows: rows, columns: columns, density: density, valueType: .f16, seed: 5)
        return try PackedMatrix.pack(
            rows: rows, columns: columns, elements: elements, valueType: .f16, choice: choice, values: values,
            pool: pool)
    }

    /// Where only memory counts and nothing ties, the fastest is the smallest.
    @Test(arguments: [1, 0.6, 0.3, 0.05, 0], [nil] + QuantizedCoding.allCases)
    func agreesWithTheSmallest(density: Double, coding: QuantizedCoding?) throws {
        let values = coding.map { ValueChoice.quantized($0, .columns64) } ?? .exact
        let smallest = try pack(density: density, .smallest, values: values)
        let fastest = try pack(density: density, .fastest(try MadeUpProfile().model()), values: values)
        #expect(smallest.decision == nil)
        let decision = try #require(fastest.decision)
        #expect(fastest.matrix.format == smallest.matrix.format && decision.chosen.format == fastest.matrix.format)
        #expect(decision.chosen.byteCount == fastest.matrix.storedByteCount)
        #expect(fastest.nonzeroCount == smallest.nonzeroCount && fastest.nonzeroCount == fastest.matrix.countNonzeros())
        #expect(decision.candidates.count == (coding == nil ? 4 : 2))
    }

    @Test(arguments: PackedFormat.allCases) func takesTheFormatOfAFastKernel(format: PackedFormat) throws {
        var made = MadeUpProfile()
        made.speed = { kind, _, _ in kind.format == format ? 1 : 0.1 }
        let packing = try pack(density: 0.2, .fastest(try made.model()))
        #expect(packing.matrix.format == format && packing.decision?.chosen.costs[0].bound == .arithmetic)
    }

    /// Integers that round to zero are zeros to the cost model.
    @Test func countsZerosAfterRounding() throws {
        var made = MadeUpProfile()
        made.densities = [0.001, 1]
        made.speed = { kind, density, _ in kind.format == .dense ? 1 : density < 0.5 ? 1e3 : 0.5 }
        let packing = try pack(density: 1, .fastest(try made.model()), values: .quantized(.i4, .row))
        let density = Double(packing.nonzeroCount) / (256 * 320)
        #expect(density < 1)
        let bitmap = try #require(packing.decision?.candidates.first { $0.format == .tiledBitmap })
        let expected = 256 * 320 * made.time(density: density)
        #expect(abs(bitmap.costs[0].seconds - expected) < 1e-9 * expected)
    }
}

extension MadeUpProfile {
    /// Seconds for an element of a bitmap of 4-bit integers by the profile's own numbers: linear between two densities.
    fileprivate func time(density: Double) -> Double {
        let kind = ProductKind(format: .tiledBitmap, coding: .i4)
        let (low, high) = (1e-9 / speed(kind, densities[0], 1), 1e-9 / speed(kind, densities[1], 1))
        return low + (high - low) * (density - densities[0]) / (densities[1] - densities[0])
    }
}

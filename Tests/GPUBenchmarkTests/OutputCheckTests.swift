import Testing

@testable import GPUBenchmark

@Suite struct OutputCheckTests {
    private static let reference: [UInt16] = (0..<1000).map { Float16(Float($0 * 37 % 101) - 50).bitPattern }

    @Test func equalResultsHaveNoError() {
        #expect(OutputCheck.error(Self.reference, reference: Self.reference) == 0)
        #expect(OutputCheck.error([0, 0x8000], reference: [0x8000, 0]) == 0)
        #expect(OutputCheck.error([], reference: []) == 0)
    }

    /// A last place of every element is two roundings that went different ways.
    @Test func roundingIsAllowed() {
        let rounded = Self.reference.map { $0 & 0x7FFF == 0 ? $0 : $0 + 1 }
        let error = OutputCheck.error(rounded, reference: Self.reference)
        #expect(error > 0 && error <= 1)
    }

    @Test(arguments: [0, 500, 999]) func oneWrongElementIsFound(index: Int) {
        for wrong in [Float16(0), 7, -100, 0.5, .infinity, .nan] {
            var found = Self.reference
            found[index] = wrong.bitPattern == found[index] ? Float16(3).bitPattern : wrong.bitPattern
            #expect(!(OutputCheck.error(found, reference: Self.reference) <= 8), "\(wrong)")
        }
    }
}

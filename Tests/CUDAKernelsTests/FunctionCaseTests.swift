import CUDAEmulator
import GPUCases
import Testing

/// The launches that `gpu-check` compares between a GPU and the emulator.
@Suite struct FunctionCaseTests {
    /// Every kernel that gives results, whatever the order in which threads run: then a GPU must give them, too.
    @Test func theScheduleChangesNothing() throws {
        for function in FunctionCase.all {
            let first = try GPUUnderTest.run { try function.result(on: $0) }
            let place = GPUUnderTest.Place.emulator(seed: 5, timing: FLASH_EMULATOR_RANDOM)
            let second = try GPUUnderTest.run(on: place) { try function.result(on: $0) }
            #expect(function.differences(second, from: first).first == nil)
            #expect(first == second, "\(function.name)")
        }
    }

    @Test func tellsDifferences() throws {
        for function in FunctionCase.all {
            let found = try GPUUnderTest.run { try function.result(on: $0) }
            var other = found
            // The sign of a large number, or all bits.
            let index = found.firstIndex { $0 != 0 } ?? 0
            other[index] ^= 0xC000_0000
            let differences = function.differences(other, from: found)
            #expect(differences.count == 1, "\(function.name)")
            #expect(differences.first?.hasPrefix("\(function.name): word \(index) ") == true)
        }
    }
}

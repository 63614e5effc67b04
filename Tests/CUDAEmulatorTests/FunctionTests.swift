import CCUDA
import CUDAEmulator
import TestSupport
import Testing

/// The device functions one by one, against what they are documented to give.
@Suite struct FunctionTests {
    /// Runs `kernel` with inputs a, b and c; the words of its output.
    static func run(
        _ kernel: String, _ a: [UInt32] = [0], _ b: [UInt32] = [0], _ c: [UInt32] = [0], outputWords: Int,
        count: Int = 0, choice: Int = 0, grid: (UInt32, UInt32) = (1, 1), threads: UInt32 = 32, seed: UInt64 = 0
    ) throws -> [UInt32] {
        try EmulatedDevice.withDevice(seed: seed) { device in
            let parameters = flash_gpu_functions(
                a: try device.copy(a), b: try device.copy(b), c: try device.copy(c),
                output: try device.copy([UInt32](repeating: 0, count: outputWords)), count: UInt32(count),
                choice: UInt32(choice))
            try device.launch(kernel, grid: grid, threads: threads, sharedBytes: 8192, parameters)
            return try device.read(parameters.output, count: outputWords, as: UInt32(0))
        }
    }

    static func randomWords(_ count: Int, seed: UInt64) -> [UInt32] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in UInt32(truncatingIfNeeded: generator.next()) }
    }

    @Test(arguments: [32, 96, 1024], [0, 9]) func placesAreThoseOfTheLaunch(threads: Int, seed: UInt64) throws {
        let output = try Self.run(
            "test_places", outputWords: 8 * 6 * threads, grid: (2, 3), threads: UInt32(threads), seed: seed)
        var expected: [UInt32] = []
        for y in 0..<3 {
            for x in 0..<2 {
                for thread in 0..<threads {
                    expected += [thread, thread % 32, thread / 32, x, y, 0, threads, 6].map { UInt32($0) }
                }
            }
        }
        #expect(output == expected)
    }

    @Test(arguments: [0, 7]) func shufflesMoveValues(seed: UInt64) throws {
        let values = Self.randomWords(32, seed: 1)
        // Operands beyond the warp count modulo 32.
        let operands = Self.randomWords(32, seed: 2).map { $0 % 64 }
        let output = try Self.run("test_shuffles", values, operands, outputWords: 288, seed: seed)
        let indexed = (0..<32).map { values[Int(operands[$0] % 32)] }
        let crossed = (0..<32).map { values[$0 ^ Int(operands[$0] % 32)] }
        let shifted = (0..<32).map { lane in
            let from = lane - Int(operands[lane] % 32)
            return values[from < 0 ? lane : from]
        }
        let odd = (0..<32).reduce(UInt32(0)) { $0 | (values[$1] & 1) << UInt32($1) }
        let ballots = [UInt32](repeating: odd, count: 32)
        let ends = [values.max()!, values.min()!].flatMap { [UInt32](repeating: $0, count: 32) }
        #expect(output == indexed + crossed + shifted + indexed + crossed + ballots + values + ends)
    }

    /// As PTX defines `prmt` in its default mode.
    private static func permuted(_ low: UInt32, _ high: UInt32, _ selector: UInt32) -> UInt32 {
        let bytes = (0..<8).map { $0 < 4 ? low >> (8 * $0) & 255 : high >> (8 * ($0 - 4)) & 255 }
        var result: UInt32 = 0
        for i in 0..<UInt32(4) {
            let choice = Int(selector >> (4 * i) & 15)
            let byte = bytes[choice & 7], sign: UInt32 = byte >= 128 ? 255 : 0
            result |= (choice < 8 ? byte : sign) << (8 * i)
        }
        return result
    }

    @Test func bitsAreCountedShiftedAndPermuted() throws {
        let low = Self.randomWords(300, seed: 1), high = Self.randomWords(300, seed: 2)
        // Counts of 0...70 and large ones; as selectors, all sixteen choices.
        let operands = (0..<300).map { $0 < 71 ? UInt32($0) : Self.randomWords(300, seed: 3)[$0] }
        let output = try Self.run(
            "test_bits", low, high, operands, outputWords: 1200, count: 300, grid: (2, 1), threads: 256)
        for i in 0..<300 {
            let pair = UInt64(high[i]) << 32 | UInt64(low[i])
            #expect(output[i] == UInt32(low[i].nonzeroBitCount))
            #expect(output[300 + i] == UInt32(truncatingIfNeeded: pair >> UInt64(operands[i] % 32)))
            #expect(output[600 + i] == UInt32(truncatingIfNeeded: pair >> UInt64(min(operands[i], 32))))
            #expect(output[900 + i] == Self.permuted(low[i], high[i], operands[i]))
        }
        #expect(Self.permuted(0x0380_7F01, 0, 0xBA98) == 0x00FF_0000)
    }

    @Test func sharedMemoryKeepsEveryType() throws {
        let words = Self.randomWords(256, seed: 4)
        #expect(try Self.run("test_shared_types", words, outputWords: 256, threads: 64) == words)
    }

    @Test(arguments: [0, 1, 33, 64]) func copiesBringBytesOrZeros(count: Int) throws {
        let words = Self.randomWords(256, seed: 5)
        let output = try Self.run("test_copies", words, outputWords: 256, count: count, threads: 64)
        #expect(output == (0..<256).map { $0 / 4 < count ? words[$0] : 0 })
    }

    @Test(arguments: [0, 1, 2, 3]) func lastBlockSumsUp(seed: UInt64) throws {
        let words = Self.randomWords(64 * 100, seed: 6)
        let output = try Self.run(
            "test_last_block", words, outputWords: 101, grid: (100, 1), threads: 64, seed: seed)
        let sums: [UInt32] = (0..<100).map { block in words[(64 * block)..<(64 * block + 64)].reduce(0, &+) }
        let total: UInt32 = sums.reduce(0, &+)
        #expect(output == sums + [total])
    }

    @Test(arguments: [0, 1, 2], [0, 5]) func matrixLoadsTurnRowsIntoFragments(choice: Int, seed: UInt64) throws {
        // Element c of row r is 8 * r + c.
        let rows = (0..<128).map { (word: UInt32) -> UInt32 in 2 * word | (2 * word + 1) << 16 }
        let output = try Self.run("test_load_matrices", rows, outputWords: 128, choice: choice, seed: seed)
        for matrix in 0..<4 {
            for lane in 0..<32 {
                let row = lane / 4, column = 2 * (lane % 4)
                func element(_ row: Int, _ column: Int) -> UInt32 { UInt32(8 * (8 * matrix + row) + column) }
                let straight = element(row, column) | element(row, column + 1) << 16
                let turned = element(column, row) | element(column + 1, row) << 16
                let expected = choice == 0 ? straight : choice == 2 ? turned : matrix < 2 ? straight : 0
                #expect(output[32 * matrix + lane] == expected, "matrix \(matrix), lane \(lane)")
            }
        }
    }
}

import Sparse
import Testing

@Suite struct CostModelTests {
    private static let dense = ProductKind(format: .dense)
    private static let bitmap = ProductKind(format: .tiledBitmap)

    /// Sizes of a matrix of 1000 weights, dense 2000 bytes.
    private func decide(
        _ model: CostModel, bitmap: Int, ellpack: Int = 5000, density: Int = 500, coding: QuantizedCoding? = nil
    ) -> FormatDecision {
        let sizes: [(format: PackedFormat, byteCount: Int)] =
            coding == nil
            ? [(.dense, 2000), (.tiledBitmap, bitmap), (.slicedEllpack, ellpack)]
            : [(.dense, 1000), (.tiledBitmap, bitmap)]
        return model.decide(sizes: sizes, coding: coding, weights: 1000, nonzeroCount: density)
    }

    @Test func takesTheSlowerOfMemoryAndArithmetic() throws {
        var made = MadeUpProfile()
        made.speed = { kind, _, _ in kind == Self.dense ? 20 : 4 }
        let model = try made.model()
        let dense = model.cost(of: Self.dense, byteCount: 2000, weights: 1000, density: 1, tokens: 1)
        #expect(abs(dense.seconds - 200e-9) < 1e-15 && dense.bound == .memory)
        let sparse = model.cost(of: Self.bitmap, byteCount: 1200, weights: 1000, density: 0.5, tokens: 1)
        #expect(abs(sparse.seconds - 250e-9) < 1e-15 && sparse.bound == .arithmetic)
    }

    /// A kernel that is too slow for its zeros loses to dense, whatever its bytes.
    @Test func refusesASmallFormatOfASlowKernel() throws {
        var made = MadeUpProfile()
        made.speed = { kind, _, _ in kind == Self.dense ? 20 : 4 }
        let decision = decide(try made.model(), bitmap: 1200)
        #expect(decision.chosen.format == .dense && decision.candidates.count == 3)
        #expect(decision.reason == ChoiceReason(bound: .memory, speedUp: 1))
    }

    @Test func takesFewerBytesWhereMemoryRules() throws {
        let decision = decide(try MadeUpProfile().model(), bitmap: 1000)
        #expect(decision.chosen.format == .tiledBitmap && decision.chosen.byteCount == 1000)
        #expect(decision.candidates.map(\.format) == [.tiledBitmap, .dense, .slicedEllpack])
        #expect(decision.reason == ChoiceReason(bound: .memory, speedUp: 2))
    }

    @Test func breaksTiesByBytes() throws {
        var made = MadeUpProfile()
        // All wait for arithmetic: ELLPACK is the fastest by 2 %, the bitmap smaller.
        made.speed = { kind, _, _ in kind.format == .slicedEllpack ? 1.02 : kind == Self.dense ? 0.5 : 1 }
        #expect(decide(try made.model(), bitmap: 700, ellpack: 800).chosen.format == .tiledBitmap)
        #expect(decide(try made.model(), bitmap: 800, ellpack: 700).chosen.format == .slicedEllpack)
        made.speed = { kind, _, _ in kind.format == .slicedEllpack ? 1.04 : kind == Self.dense ? 0.5 : 1 }
        #expect(decide(try made.model(), bitmap: 700, ellpack: 800).chosen.format == .slicedEllpack)
        // Equally fast and large: the first format.
        made.speed = { _, _, _ in 1 }
        #expect(decide(try made.model(), bitmap: 2000, ellpack: 2000).chosen.format == .dense)
    }

    /// One token waits for memory, sixteen for arithmetic, of which dense needs a third.
    @Test func weighsTokenCounts() throws {
        var made = MadeUpProfile()
        made.speed = { kind, _, tokens in tokens == 16 ? (kind == Self.dense ? 3 : 1) : 1e3 }
        #expect(decide(try made.model(tokens: [1]), bitmap: 1000).chosen.format == .tiledBitmap)
        #expect(decide(try made.model(tokens: [16]), bitmap: 1000).chosen.format == .dense)
        let both = decide(try made.model(tokens: [1, 16]), bitmap: 1000)
        // Dense is 2 and 1 times the fastest, the bitmap 1 and 3 times.
        #expect(both.chosen.format == .dense && abs(both.chosen.relativeTime - 1.5) < 1e-12)
        #expect(both.candidates[1].format == .tiledBitmap && abs(both.candidates[1].relativeTime - 2) < 1e-12)
        #expect(decide(try made.model(tokens: [1, 1, 16]), bitmap: 200).chosen.format == .tiledBitmap)
    }

    @Test(arguments: QuantizedCoding.allCases) func choosesForIntegers(coding: QuantizedCoding) throws {
        var made = MadeUpProfile()
        #expect(decide(try made.model(), bitmap: 600, coding: coding).chosen.format == .tiledBitmap)
        #expect(decide(try made.model(), bitmap: 1100, coding: coding).chosen.format == .dense)
        made.speed = { kind, _, _ in kind == ProductKind(format: .tiledBitmap, coding: coding) ? 5 : 20 }
        #expect(decide(try made.model(), bitmap: 600, coding: coding).chosen.format == .dense)
    }

    /// Time is linear between what was measured, constant beyond in density, proportional beyond in tokens.
    @Test func interpolatesTime() throws {
        let speed = try KernelSpeed(
            kind: Self.bitmap, densities: [0.1, 0.5], tokens: [1, 4],
            weightsPerSecond: [[1, 0.5], [0.25, 0.1]].scaled)
        func time(_ density: Double, _ tokens: Int) -> Double {
            speed.secondsPerWeight(density: density, tokens: tokens)
        }
        #expect(close(time(0.1, 1), 1e-9) && close(time(0.5, 1), 4e-9) && close(time(0.3, 1), 2.5e-9))
        #expect(close(time(0.01, 1), 1e-9) && close(time(1, 1), 4e-9))
        #expect(close(time(0.1, 4), 2e-9) && close(time(0.1, 2), 1e-9 + 1e-9 / 3))
        #expect(close(time(0.5, 8), 20e-9) && close(time(0.5, 40), 100e-9))
    }

    private func close(_ found: Double, _ expected: Double) -> Bool { abs(found - expected) <= 1e-12 * expected }

    /// Whatever noise was measured, more tokens or bytes never take less time.
    @Test func growsWithTokensAndBytes() throws {
        var noise = 0.0
        var made = MadeUpProfile()
        made.speed = { _, _, _ in
            noise = (noise * 7919 + 0.37).truncatingRemainder(dividingBy: 1)
            return 0.1 + noise
        }
        let model = try made.model()
        for kind in ProductKind.all {
            for density in [0.01, 0.1, 0.23, 0.5, 0.8, 1] {
                var last = 0.0
                for tokens in 1...70 {
                    let cost = model.cost(of: kind, byteCount: 1000, weights: 1000, density: density, tokens: tokens)
                    #expect(cost.seconds >= last)
                    last = cost.seconds
                }
                let few = model.cost(of: kind, byteCount: 10, weights: 1000, density: density, tokens: 3)
                let many = model.cost(of: kind, byteCount: 1 << 40, weights: 1000, density: density, tokens: 3)
                #expect(few.seconds < many.seconds && many.bound == .memory)
            }
        }
    }

    @Test func refusesProfilesThatSayTooLittle() throws {
        let whole = try MadeUpProfile().profile()
        func fails(_ subject: String, _ make: () throws -> some Any) {
            #expect { try make() } throws: { ($0 as? ProfileError)?.subject.hasPrefix(subject) == true }
        }
        func speed(_ densities: [Double], _ tokens: [Int], _ speeds: [[Double]]) throws -> KernelSpeed {
            try KernelSpeed(kind: Self.bitmap, densities: densities, tokens: tokens, weightsPerSecond: speeds)
        }
        let machine = whole.machine
        fails("kernels") {
            try MachineProfile(machine: machine, bytesPerSecond: 1e9, kernels: Array(whole.kernels.dropFirst()))
        }
        fails("kernels") {
            try MachineProfile(machine: machine, bytesPerSecond: 1e9, kernels: whole.kernels + [whole.kernels[3]])
        }
        for bandwidth in [0, -1, .nan, .infinity, 1e300] {
            fails("bytes_per_second") {
                try MachineProfile(machine: machine, bytesPerSecond: bandwidth, kernels: whole.kernels)
            }
            fails("speeds") { try speed([0.5], [1], [[bandwidth]]) }
        }
        fails("densities") { try speed([], [1], []) }
        fails("densities") { try speed([0.5, 0.5], [1], [[1], [1]]) }
        fails("densities") { try speed([0, 0.5], [1], [[1], [1]]) }
        fails("densities") { try speed([.nan], [1], [[1]]) }
        fails("tokens") { try speed([0.5], [], [[]]) }
        fails("tokens") { try speed([0.5], [4, 1], [[1, 1]]) }
        fails("tokens") { try speed([0.5], [0], [[1]]) }
        fails("speeds") { try speed([0.5], [1, 2], [[1]]) }
        fails("speeds") { try speed([0.5], [1], [[1], [1]]) }
        for name in ["", "two\nlines", String(repeating: "x", count: 129)] {
            fails("processor") { try MachineProfile.Machine(processor: name, instructionSet: "beads", threads: 1) }
        }
        fails("threads") { try MachineProfile.Machine(processor: "x", instructionSet: "beads", threads: 0) }
    }
}

extension [[Double]] {
    /// Elements a nanosecond as elements a second.
    fileprivate var scaled: [[Double]] { map { $0.map { $0 * 1e9 } } }
}

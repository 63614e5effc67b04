import Engine
import OrderedJSON
import Sparse
import TestSupport
import Testing

/// Profiles as files, and as this machine gives them.
@Suite struct MachineProfileTests {
    private static let profile: MachineProfile = {
        try! MachineProfile(
            machine: .init(processor: "Abacus \"9\" é", instructionSet: "beads", threads: 3), bytesPerSecond: 2.5e10,
            kernels: ProductKind.all.enumerated().map { index, kind in
                try KernelSpeed(
                    kind: kind, densities: kind.format == .dense ? [1] : [0.125, 1], tokens: [1, 16],
                    weightsPerSecond: kind.format == .dense ? [[1e9, 2]] : [[3e9, 4e8], [5.5e9, Double(index + 1)]])
            })
    }()

    private static let text = profile.json.text()

    private func parse(_ text: String) throws -> MachineProfile { try MachineProfile(parsing: Array(text.utf8)) }

    @Test func comesBackAsItWasWritten() throws {
        #expect(try parse(Self.text) == Self.profile)
        #expect(try parse(Self.profile.json.text(pretty: true)) == Self.profile)
        // Members that a later program adds do no harm.
        #expect(try parse("{\"note\": [1]," + Self.text.dropFirst()) == Self.profile)
    }

    @Test func saysWhatIsWrong() throws {
        func fails(_ subject: String, _ old: String, _ new: String) {
            #expect(Self.text.contains(old))
            #expect { try parse(Self.text.replacing(old, with: new, maxReplacements: 1)) } throws: {
                ($0 as? ProfileError)?.subject.hasPrefix(subject) == true
            }
        }
        fails("text", "{", "[")
        fails("format_version", "\"format_version\":1", "\"format_version\":2")
        fails("kernel_version", "\"kernel_version\":\(MachineProfile.kernelVersion)", "\"kernel_version\":0")
        fails("processor", "\"processor\":", "\"processors\":")
        fails("instruction_set", "\"beads\"", "7")
        fails("threads", "\"threads\":3", "\"threads\":3.5")
        fails("threads", "\"threads\":3", "\"threads\":-3")
        fails("bytes_per_second", "25000000000.0", "null")
        fails("bytes_per_second", "25000000000.0", "-25000000000.0")
        fails("kernels", "\"kernels\":", "\"kernel\":")
        fails("format and values", "\"dense\"", "\"dence\"")
        fails("format and values", "\"f16\"", "\"f61\"")
        fails("format and values", "\"tiled-csl\",\"values\":\"f16\"", "\"tiled-csl\",\"values\":\"i8\"")
        fails("kernels", "\"tiled-csl\"", "\"dense\"")
        fails("densities", "[0.125,1.0]", "[1.0,0.125]")
        fails("tokens", "[1,16]", "[1,\"16\"]")
        fails("speeds", "[1000000000.0,2.0]", "[1000000000.0]")
        fails("weights_per_second", "[1000000000.0,2.0]", "[1000000000.0,[]]")
        fails("speeds", "[1000000000.0,2.0]", "[1000000000.0,0]")
        #expect { try MachineProfile(parsing: Array(repeating: 0x20, count: (1 << 20) + 1)) } throws: {
            ($0 as? ProfileError)?.subject == "size"
        }
    }

    /// Damaged text gives a profile that keeps every promise, or an error; it never ends the program.
    @Test func survivesDamage() {
        var generator = SplitMix64(seed: 21)
        let whole = Array(Self.text.utf8)
        for length in stride(from: 0, to: whole.count, by: 7) {
            #expect(throws: ProfileError.self) { try MachineProfile(parsing: Array(whole[..<length])) }
        }
        var survivors = 0
        for _ in 0..<3000 {
            var text = whole
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let place = Int.random(in: 0..<text.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: text[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: text[place] = UInt8.random(in: 0x30...0x39, using: &generator)
                case 2: text.remove(at: place)
                default: text.insert(contentsOf: Array("e99".utf8), at: place)
                }
            }
            guard let profile = try? MachineProfile(parsing: text) else { continue }
            survivors += 1
            let decision = CostModel(profile: profile, tokenCounts: [1, 5, 4096]).decide(
                sizes: [(.dense, 200), (.tiledBitmap, 100)], coding: .i8, weights: 100, nonzeroCount: 30)
            for candidate in decision.candidates {
                #expect(candidate.relativeTime >= 1 && candidate.relativeTime.isFinite)
                #expect(candidate.costs.allSatisfy { $0.seconds > 0 && $0.seconds.isFinite })
            }
        }
        // Digits of names and speeds can change without harm.
        #expect(survivors > 100)
    }

    @Test(arguments: [1, 3], Kernels.instructionSets.compactMap { Kernels(instructionSet: $0)?.instructionSet })
    func measuresThisMachine(threads: Int, instructionSet: String) throws {
        var profiler = MachineProfiler(processor: "here", threads: threads)
        profiler.kernels = try #require(Kernels(instructionSet: instructionSet))
        profiler.rounds = 1
        profiler.sampleSeconds = 1e-6
        var rounds: [Int] = []
        let profile = try profiler.measure { done, total in
            rounds.append(done)
            #expect(total == 1)
        }
        #expect(rounds == [0, 1])
        #expect(profile.machine == (try .init(processor: "here", instructionSet: instructionSet, threads: threads)))
        #expect(try parse(profile.json.text()) == profile)
        #expect(Kernels.instructionSets.contains(profile.machine.instructionSet))
        // Sixty-four tokens take longer than one, on any machine and under any load worth measuring.
        let dense = profile[ProductKind(format: .dense)]
        #expect(dense.secondsPerWeight(density: 1, tokens: 64) > dense.secondsPerWeight(density: 1, tokens: 1))
    }
}

import OrderedJSON
import Sparse
import Terminal

extension CostModel {
    /// "formats are the fastest by prediction for 1 token on 2 threads of AMD EPYC 9B14 (avx2)"
    var summary: String { Self.summary(of: profile.machine, tokenCounts: tokenCounts) }

    static func summary(of machine: MachineProfile.Machine, tokenCounts: [Int]) -> String {
        let counts = tokenCounts.map(String.init).joined(separator: ", ")
        return "formats are the fastest by prediction for \(counts) token\(tokenCounts == [1] ? "" : "s") on "
            + machine.description.printable
    }

    var json: JSON { Self.json(of: profile.machine, tokenCounts: tokenCounts) }

    static func json(of machine: MachineProfile.Machine, tokenCounts: [Int]) -> JSON {
        [
            "processor": .string(machine.processor), "instruction_set": .string(machine.instructionSet),
            "threads": .integer(machine.threads), "tokens": .array(tokenCounts.map(JSON.integer)),
        ]
    }
}

extension FormatDecision {
    /// Every candidate, the chosen one first.
    var json: JSON {
        .array(
            candidates.map { candidate in
                [
                    "format": .string(candidate.format.rawValue), "bytes": .integer(candidate.byteCount),
                    "relative_time": .number(candidate.relativeTime),
                    "predictions": .array(
                        zip(tokenCounts, candidate.costs).map { tokens, cost in
                            [
                                "tokens": .integer(tokens), "seconds": .number(cost.seconds),
                                "bound": .string(cost.bound.rawValue),
                            ]
                        }),
                ]
            })
    }
}

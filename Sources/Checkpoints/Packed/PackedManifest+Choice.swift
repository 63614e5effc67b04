public import OrderedJSON
public import Sparse

extension PackedManifest {
    /// What the formats of a folder were chosen by:
    ///
    ///     "profile": {"processor": "AMD EPYC 9B14", "instruction_set": "avx2", "threads": 2, "kernel_version": 1,
    ///                 "tokens": [1]}
    ///
    /// It is for people, and decides nothing: what is impossible in it counts as nothing said, never as an error.
    public struct Choice: Sendable, Equatable {
        public let machine: MachineProfile.Machine
        /// Tokens of the products that were to be fast.
        public let tokenCounts: [Int]

        private static let tokenCountsLimit = 16

        init(_ costs: CostModel) {
            machine = costs.profile.machine
            tokenCounts = costs.tokenCounts
        }

        init?(_ entry: JSON?) {
            guard let entry, let processor = entry["processor"]?.stringValue,
                let instructionSet = entry["instruction_set"]?.stringValue, let threads = entry["threads"]?.intValue,
                let version = entry["kernel_version"]?.intValue,
                let machine = try? MachineProfile.Machine(
                    processor: processor, instructionSet: instructionSet, threads: threads, kernelVersion: version),
                let tokens = entry["tokens"]?.arrayValue, (1...Self.tokenCountsLimit).contains(tokens.count)
            else { return nil }
            self.machine = machine
            tokenCounts = tokens.compactMap(\.intValue).filter { (1...CostModel.tokenCountLimit).contains($0) }
            if tokenCounts.count != tokens.count { return nil }
        }

        var json: JSON {
            [
                "processor": .string(machine.processor), "instruction_set": .string(machine.instructionSet),
                "threads": .integer(machine.threads), "kernel_version": .integer(machine.kernelVersion),
                "tokens": .array(tokenCounts.map(JSON.integer)),
            ]
        }
    }
}

extension ChoiceReason {
    /// Reads `{"bound": "memory", "speed_up": 1.88}`; nil for anything else.
    init?(_ entry: JSON?) {
        guard let bound = entry?["bound"]?.stringValue.flatMap(ProductBound.init(rawValue:)),
            let speedUp = entry?["speed_up"]?.doubleValue
        else { return nil }
        self.init(bound: bound, speedUp: speedUp)
    }

    public var json: JSON {
        // Two decimals are more than a prediction is good for.
        ["bound": .string(bound.rawValue), "speed_up": .number((speedUp * 100).rounded() / 100)]
    }
}

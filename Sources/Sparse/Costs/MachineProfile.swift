/// What a machine was measured to do: how fast its memory is read, and how fast each kernel multiplies weights that
/// lie in cache. Prediction needs no more: see ``CostModel``.
public struct MachineProfile: Sendable, Equatable {
    /// Whose measurements these are. Those of another machine say nothing about this one.
    public struct Machine: Sendable, Hashable {
        /// The processor's name as the system gives it.
        public let processor: String
        /// The kernels' instruction set: "avx512".
        public let instructionSet: String
        public let threads: Int
        public let kernelVersion: Int

        public static let nameLimit = 128

        /// - Throws: ``ProfileError`` for a name that is empty, longer than ``nameLimit`` bytes or has control
        ///   characters, or an absurd number.
        public init(
            processor: String, instructionSet: String, threads: Int, kernelVersion: Int = MachineProfile.kernelVersion
        ) throws(ProfileError) {
            for (subject, name) in [("processor", processor), ("instruction_set", instructionSet)]
            where !Self.isName(name) {
                throw ProfileError(
                    subject, expected: "a name of 1 to \(Self.nameLimit) bytes", found: "\(name.utf8.count) bytes")
            }
            guard (1...1 << 16).contains(threads) else {
                throw ProfileError("threads", expected: "1 to 65536", found: "\(threads)")
            }
            self.processor = processor
            self.instructionSet = instructionSet
            self.threads = threads
            self.kernelVersion = kernelVersion
        }

        private static func isName(_ text: String) -> Bool {
            (1...nameLimit).contains(text.utf8.count)
                && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value) }
        }

        /// "2 threads of AMD EPYC 9B14 (avx2)"
        public var description: String {
            "\(threads) thread\(threads == 1 ? "" : "s") of \(processor) (\(instructionSet))"
        }
    }

    /// Raise it with every change that makes a kernel notably faster or adds one: profiles of other versions are stale.
    public static let kernelVersion = 2

    public let machine: Machine
    /// Bytes that plain loads of all threads read from memory in a second.
    public let bytesPerSecond: Double
    /// One for each of ``ProductKind/all``, in their order.
    public let kernels: [KernelSpeed]

    /// - Throws: ``ProfileError`` if the bandwidth is absurd, a kind of product is missing or there twice.
    public init(machine: Machine, bytesPerSecond: Double, kernels: [KernelSpeed]) throws(ProfileError) {
        guard KernelSpeed.speeds.contains(bytesPerSecond) else {
            throw ProfileError(
                "bytes_per_second", expected: "\(KernelSpeed.speeds.lowerBound) to \(KernelSpeed.speeds.upperBound)",
                found: "\(bytesPerSecond)")
        }
        let byKind = Dictionary(grouping: kernels, by: \.kind)
        self.kernels = try ProductKind.all.map { kind throws(ProfileError) in
            guard let speeds = byKind[kind], speeds.count == 1, let speed = speeds.first else {
                throw ProfileError(
                    "kernels", expected: "one entry for \(kind.format.rawValue) \(kind.valuesName)",
                    found: "\(byKind[kind]?.count ?? 0)")
            }
            return speed
        }
        self.machine = machine
        self.bytesPerSecond = bytesPerSecond
    }

    /// The measurements of one kind.
    public subscript(kind: ProductKind) -> KernelSpeed {
        // There for every kind, as the initialiser has checked.
        kernels.first { $0.kind == kind }!
    }
}

/// Why something is no profile of a machine: what is wrong with which part of it.
public struct ProfileError: Error, Equatable, Sendable, CustomStringConvertible {
    public let subject: String
    public let expected: String
    public let found: String

    public init(_ subject: String, expected: String, found: String) {
        self.subject = subject
        self.expected = expected
        // What is found comes from outside, and can be long.
        self.found = String(found.prefix(80))
    }

    public var description: String { "\(subject): expected \(expected), found \(found)" }
}

import ArgumentParser
import Engine
import Sparse
import Tensors
import Terminal

/// Whose speed formats are chosen by.
struct ProfileOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Choose formats by this machine profile ('flash-llm profile --json' prints one), to pack here for another "
                + "machine. (default: $FLASH_LLM_PROFILE, else this machine's own, measured once)",
            valueName: "file"), completion: .file())
    var profile: String?

    /// The file that is named by the option or the environment.
    func file(in environment: [String: String]) -> String? {
        profile ?? environment["FLASH_LLM_PROFILE"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The profile of the file that is named; else this machine's, from the cache or measured now.
    /// - Parameter threads: those of the products; a named file speaks for its own number.
    func load(
        threads: Int, kernels: Kernels = .best, console: Console, progress: ProgressReporter
    ) throws -> MachineProfile {
        if let file = file(in: console.environment) { return try ProfileStore.read(file) }
        return try Self.own(threads: threads, kernels: kernels, console: console, progress: progress).profile
    }

    /// This machine's profile.
    /// - Parameter measuresAnew: whether one that was kept does not count.
    static func own(
        threads: Int, kernels: Kernels = .best, rounds: Int = MachineProfiler.defaultRounds,
        measuresAnew: Bool = false, console: Console, progress: ProgressReporter
    ) throws -> (profile: MachineProfile, wasKept: Bool) {
        let store = ProfileStore(environment: console.environment)
        let machine = try MachineProfile.Machine(
            processor: Machine.profileName, instructionSet: kernels.instructionSet, threads: threads)
        if !measuresAnew, let profile = store.profile(of: machine) { return (profile, true) }
        var profiler = MachineProfiler(processor: machine.processor, threads: threads)
        profiler.kernels = kernels
        profiler.rounds = rounds
        defer { progress.finish() }
        let profile = try profiler.measure { done, total in
            progress.update("measuring this machine", completed: done, of: total, unit: .things("rounds"))
        }
        store.keep(profile)
        return (profile, false)
    }
}

extension Machine {
    /// The processor's name as profiles give it: something, and printable.
    fileprivate static var profileName: String {
        let name = (processorName ?? "").unicodeScalars.filter { (0x20..<0x7F).contains($0.value) }
        let text = String(String.UnicodeScalarView(name.prefix(MachineProfile.Machine.nameLimit)))
        return text.isEmpty ? "unknown processor" : text
    }
}

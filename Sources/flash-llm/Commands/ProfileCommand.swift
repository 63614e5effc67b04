import ArgumentParser
import Engine
import OrderedJSON
import Sparse
import Tensors
import Terminal

struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "Show how fast this machine reads memory and runs each kernel.",
        discussion: """
            'flash-llm pack' and 'inspect' predict by it which format is the fastest. The machine is measured once, in \
            some seconds, for each number of threads; the result is kept in the cache. Measure anew when the machine \
            was busy then, or has changed.

            Gweights/s are 10^9 elements of a matrix a second, zeros included, multiplied from cache with so many \
            tokens at a time. A product is predicted to take as long as that or as its bytes take to come from memory, \
            whichever is longer.

            Examples:
              flash-llm profile
              flash-llm profile --threads 8 --remeasure
              flash-llm profile --json > server.json        then, elsewhere: pack MODEL -o DIR --profile server.json
              flash-llm profile --profile server.json
            """)

    @Option(help: ArgumentHelp("Threads to measure with. (default: one per processor)", valueName: "n"))
    var threads: Int?

    @Option(help: ArgumentHelp("Rounds of a measurement.", valueName: "n"))
    var rounds = MachineProfiler.defaultRounds

    @Flag(help: "Measure even if this machine has been measured before.")
    var remeasure = false

    @Option(help: ArgumentHelp("Show the profile in this file.", valueName: "file"), completion: .file())
    var profile: String?

    @Option(
        help: ArgumentHelp(
            "Measure the kernels of this instruction set: avx512, avx2 or portable.", visibility: .hidden))
    var instructionSet: String?

    @Flag(help: "Print the profile as one JSON object, as --profile of other commands reads it.")
    var json = false

    func validate() throws {
        try ThreadOptions.check(threads)
        if !(1...1000).contains(rounds) { throw ValidationError("--rounds must be in 1...1000, found \(rounds)") }
        if let instructionSet, Kernels(instructionSet: instructionSet) == nil {
            throw ValidationError("--instruction-set must be one that this processor has, found '\(instructionSet)'")
        }
        if profile != nil && (remeasure || threads != nil) {
            throw ValidationError("--profile shows what is in a file: leave out --threads and --remeasure")
        }
    }

    func run() throws {
        let console = Console()
        if let profile {
            return show(try ProfileStore.read(profile), origin: "read from \(profile)", console: console)
        }
        let (profile, wasKept) = try ProfileOptions.own(
            threads: threads ?? WorkerPool.availableProcessorCount,
            kernels: instructionSet.flatMap { Kernels(instructionSet: $0) } ?? .best, rounds: rounds,
            measuresAnew: remeasure, console: console, progress: ProgressReporter(traits: console.errors))
        let path = ProfileStore(environment: console.environment).path(of: profile.machine)
        show(profile, origin: wasKept ? "measured before, kept in \(path ?? "")" : "measured now", console: console)
    }

    private func show(_ profile: MachineProfile, origin: String, console: Console) {
        if json {
            print(profile.json.text())
            return
        }
        print("machine  \(profile.machine.description.printable)")
        print("memory   \(Format.rate(bytesPerSecond: profile.bytesPerSecond))")
        print("profile  \(origin.printable)\n")
        print("Gweights/s from cache, by density and tokens:")
        print(table(profile).text(for: console.output), terminator: "")
    }

    private func table(_ profile: MachineProfile) -> Table {
        let tokens = profile.kernels.reduce(into: Set<Int>()) { $0.formUnion($1.tokens) }.sorted()
        var table = Table([.text("format"), .text("values"), .number("density")] + tokens.map { .number("\($0)") })
        for (index, kernel) in profile.kernels.enumerated() {
            if index > 0 { table.appendRule() }
            for (row, density) in kernel.densities.enumerated().reversed() {
                let isFirst = row == kernel.densities.count - 1
                let speeds = tokens.map { count in
                    kernel.tokens.firstIndex(of: count).map {
                        Format.fixed(kernel.weightsPerSecond[row][$0] / 1e9, decimals: 2)
                    } ?? ""
                }
                table.append(
                    [
                        isFirst ? kernel.kind.format.rawValue : "", isFirst ? kernel.kind.valuesName : "",
                        Format.percentage(density, decimals: 0),
                    ] + speeds)
            }
        }
        return table
    }
}

import ArgumentParser
import Sparse
import Terminal

@main
struct FlashLLMCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flash-llm",
        abstract: "Prune, pack and run large language models at the speed their zeros allow.",
        discussion: """
            A MODEL is the name of a pulled model ('flash-llm models' lists them), such as 'smollm2-135m' or the hub's \
            'owner/name', a GGUF file or a model folder.

            Progress is shown on a terminal only, on standard error; what a command was asked for goes to standard \
            output, plainly when it is piped. Exit codes: 0 success, 1 failure, 2 wrong environment, 64 wrong usage, \
            130 interrupted.

            The environment variable FLASH_LLM_ISA makes a command compute with the instructions that it names \
            (\(Kernels.instructionSets.joined(separator: ", "))) instead of the best that this processor has.
            """,
        subcommands: [
            PullCommand.self, ModelsCommand.self, InspectCommand.self, PruneCommand.self, RecoverCommand.self,
            PackCommand.self, ExportCommand.self, ParetoCommand.self, RunCommand.self, PerplexityCommand.self,
            BenchCommand.self,
            ProfileCommand.self, DevicesCommand.self, MakeSyntheticCommand.self, DemoCommand.self,
            CompileKernelsCommand.self,
        ])

    /// Replaces ArgumentParser's own `main`, so that every error has the same form: one sentence after `error: `.
    static func main() async {
        do {
            try checkArguments()
            var command = try parseAsRoot()
            if CommandLine.arguments.dropFirst().first != "help" { try Kernels.checkEnvironment() }
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            exit(withError: ExitCode(report(error, console: Console())))
        }
    }

    /// Swift replaces what is not UTF-8 in arguments, and a prompt or path must not change behind a person's back.
    private static func checkArguments() throws {
        for index in 1..<max(Int(CommandLine.argc), 1) {
            guard let argument = CommandLine.unsafeArgv[index] else { continue }
            if String(validatingCString: argument) == nil {
                throw ValidationError("argument \(index) is not valid UTF-8")
            }
        }
    }

    /// Tells the person about `error`, or prints the help they asked for, and returns the exit code.
    private static func report(_ error: any Error, console: Console) -> Int32 {
        let code = exitCode(for: error)
        if error is ExitCode { return code.rawValue }
        if code.isSuccess {
            print(fullMessage(for: error))
            return 0
        }
        let presentation: ErrorPresentation
        var usage = ""
        if let unknown = unknownCommand(in: CommandLine.arguments.dropFirst()) {
            presentation = ErrorPresentation(sentence: unknown, exitCode: ExitStatus.usage)
        } else if code.rawValue == ExitStatus.usage {
            // ArgumentParser's "Error: sentence", then lines on how to use the command.
            let message = fullMessage(for: error).split(separator: "\n", maxSplits: 1).map(String.init)
            let start = "Error: "
            let sentence = message.first ?? ""
            presentation = ErrorPresentation(
                sentence: sentence.hasPrefix(start) ? String(sentence.dropFirst(start.count)) : sentence,
                exitCode: ExitStatus.usage)
            usage = message.count > 1 ? message[1] + "\n" : ""
        } else {
            let isEnvironment = error is InstructionSetError
            presentation = ErrorPresentation(
                error, exitCode: isEnvironment ? ExitStatus.environment : ExitStatus.failure)
        }
        TextSink.standardError.write(presentation.text(for: console.errors) + usage)
        return presentation.exitCode
    }

    /// What to say if the first argument was meant to be a subcommand and is none. ArgumentParser knows near misses of
    /// options only.
    private static func unknownCommand(in arguments: ArraySlice<String>) -> String? {
        guard let word = arguments.first, !word.hasPrefix("-") else { return nil }
        let names = { (commands: [any ParsableCommand.Type]) in commands.compactMap { $0.configuration.commandName } }
        guard !(names(configuration.subcommands) + ["help"]).contains(word) else { return nil }
        let known = names(configuration.subcommands.filter { $0.configuration.shouldDisplay }) + ["help"]
        let start = "there is no command '\(word)'"
        if let nearest = Suggestions.nearest(to: word, in: known) { return "\(start): did you mean '\(nearest)'?" }
        return "\(start): known are \(known.joined(separator: ", ")) (see 'flash-llm --help')"
    }
}

import ArgumentParser

@main
struct FlashLLMCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flash-llm",
        abstract: "Prune, pack and run large language models at the speed their zeros allow.")
}

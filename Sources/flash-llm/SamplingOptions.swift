import ArgumentParser
import Engine

/// How the next token is chosen.
struct SamplingOptions: ParsableArguments {
    @Option(help: "Randomness: 0 always takes the likeliest token.")
    var temperature = 0.7

    @Option(help: ArgumentHelp("Choose among the k likeliest tokens; 0 for all.", valueName: "k"))
    var topK = 0

    @Option(
        help: ArgumentHelp("Choose among the likeliest tokens that together have this probability.", valueName: "p"))
    var topP = 1.0

    @Option(help: ArgumentHelp("Drop tokens less likely than this share of the likeliest one.", valueName: "p"))
    var minP = 0.05

    @Option(help: ArgumentHelp("Make a run repeatable. (default: a new seed each time)", valueName: "n"))
    var seed: UInt64?

    func parameters() throws -> SamplingParameters {
        do throws(SamplingParameterError) {
            return try SamplingParameters(
                temperature: temperature, topK: topK, topP: topP, minP: minP, seed: seed)
        } catch {
            throw ValidationError(error.description)
        }
    }
}

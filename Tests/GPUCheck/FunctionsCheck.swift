import ArgumentParser
import GPUCases
import OrderedJSON

/// Every function of gpu.cuh, on the GPU against the emulator.
struct FunctionsCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "functions", abstract: "Compare what the functions of gpu.cuh give.")

    @OptionGroup var options: CheckOptions

    func run() throws {
        let cases = FunctionCase.all
        let found = try TestedGPU.run(on: options.place) { gpu in try cases.map { try $0.result(on: gpu) } }
        let expected = try TestedGPU.run { gpu in try cases.map { try $0.result(on: gpu) } }
        var failures: [String] = []
        var words = 0
        for (index, function) in cases.enumerated() {
            let differences = function.differences(found[index], from: expected[index])
            words += found[index].count
            if let first = differences.first { failures.append("\(first) (\(differences.count) words differ)") }
        }
        try options.finish("functions", cases: cases.count, failures: failures, figures: ["words": .integer(words)])
    }
}

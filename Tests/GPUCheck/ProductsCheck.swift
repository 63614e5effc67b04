import ArgumentParser
import GPUCases
import OrderedJSON

/// Products in every layout, twice on the GPU and once on the emulator, against double precision.
struct ProductsCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "products", abstract: "Compare products with double precision and with the emulator.")

    @OptionGroup var options: CheckOptions

    @Flag(help: "A few small products only, for tools that make kernels hundreds of times slower.")
    var small = false

    /// What a tensor core drops below the largest of its summands, once for 16 columns, comes on top of float32's
    /// rounding, which is the unit of errors.
    private static let gpuErrorLimit = 2.0
    private static let emulatorErrorLimit = 1.0

    private struct Case {
        let product: ProductCase
        let weights: ProductCase.Weights
        let isEmulated: Bool
        var description: String { "\(weights.rawValue) \(product)" }
    }

    /// What was found in all cases.
    private struct Findings {
        var failures: [String] = []
        var gpuError = 0.0
        var emulatorError = 0.0
        var differing = 0
    }

    func run() throws {
        var cases: [Case] = []
        for product in small ? ProductCases.small : ProductCases.all {
            cases += ProductCase.Weights.allCases.map { Case(product: product, weights: $0, isEmulated: true) }
        }
        for product in small || options.emulate ? [] : ProductCases.large {
            cases += ProductCase.Weights.allCases.map { Case(product: product, weights: $0, isEmulated: false) }
        }
        let runs = try (0..<2).map { _ in try results(cases, on: options.place) }
        // A tool looks at the GPU only.
        let emulated = small ? [] : try results(cases.filter(\.isEmulated), on: .emulator())
        var findings = Findings()
        for (index, test) in cases.enumerated() {
            compare(test, runs.map { $0[index] }, index < emulated.count ? emulated[index] : nil, &findings)
        }
        try options.finish(
            "products", cases: cases.count, failures: findings.failures,
            figures: [
                "largest_error": .number(findings.gpuError),
                "largest_error_of_emulator": .number(findings.emulatorError),
                "results_unlike_the_emulators": .integer(findings.differing),
            ])
    }

    private func results(_ cases: [Case], on place: TestedGPU.Place) throws -> [[Float]] {
        try TestedGPU.run(on: place) { gpu in
            try cases.map { try $0.product.result($0.weights, on: gpu) }
        }
    }

    /// Results of the GPU must be right and twice the same; those of the emulator may differ in the last bits.
    private func compare(_ test: Case, _ runs: [[Float]], _ emulated: [Float]?, _ findings: inout Findings) {
        let expected = test.product.expected
        let limit = options.emulate ? Self.emulatorErrorLimit : Self.gpuErrorLimit
        let error = expected.largestError(runs[0])
        if !(error <= findings.gpuError) { findings.gpuError = error }
        if !(error <= limit) {
            findings.failures.append("\(test.description): error \(error), allowed are \(limit)")
        }
        if runs[0].map(\.bitPattern) != runs[1].map(\.bitPattern) {
            findings.failures.append("\(test.description): two runs differ")
        }
        guard let emulated else { return }
        let emulatorError = expected.largestError(emulated)
        if !(emulatorError <= findings.emulatorError) { findings.emulatorError = emulatorError }
        if !(emulatorError <= Self.emulatorErrorLimit) {
            findings.failures.append("\(test.description): the emulator's error is \(emulatorError)")
        }
        if runs[0] != emulated { findings.differing += 1 }
    }
}

import Terminal

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a command needs to know of the world it was started in: its environment and where its outputs go.
struct Console: Sendable {
    let environment: [String: String]
    /// Standard output.
    let output: OutputTraits
    /// Standard error.
    let errors: OutputTraits

    init() {
        environment = ProcessInfo.processInfo.environment
        output = OutputTraits(descriptor: 1, environment: environment)
        errors = OutputTraits(descriptor: 2, environment: environment)
    }
}

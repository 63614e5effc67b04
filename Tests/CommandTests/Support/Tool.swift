import Foundation
import ModelFixtures
import OrderedJSON
import Testing

/// The built executable, run as a person would run it.
enum Tool {
    struct Outcome {
        /// The exit code; the number of the signal where one ended the process.
        let status: Int32
        let output: String
        let errors: String

        /// The one JSON object on standard output.
        func json(sourceLocation: SourceLocation = #_sourceLocation) throws -> JSON {
            #expect(status == 0, "\(errors)", sourceLocation: sourceLocation)
            #expect(output.hasSuffix("\n") && !output.dropLast().contains("\n"), sourceLocation: sourceLocation)
            return try JSON(parsing: output)
        }

        /// Checks that the command failed with one sentence on standard error that has all of `parts`.
        func expectFailure(_ parts: String..., status: Int32 = 1, sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(self.status == status, "\(errors)", sourceLocation: sourceLocation)
            #expect(output == "", sourceLocation: sourceLocation)
            #expect(errors.hasPrefix("error: "), "\(errors)", sourceLocation: sourceLocation)
            // Wrong usage is followed by lines on the right one.
            let sentences = errors.split(separator: "\n")
            #expect(status == 64 || sentences.count == 1, "\(errors)", sourceLocation: sourceLocation)
            for part in parts {
                #expect(sentences.first?.contains(part) == true, "\(part) | \(errors)", sourceLocation: sourceLocation)
            }
        }
    }

    /// Beside the test bundle, wherever the package was built.
    static let path: String = {
        let bundles = CommandLine.arguments + Bundle.allBundles.map(\.bundlePath)
        for bundle in bundles where bundle.contains(".xctest") {
            var folder = URL(fileURLWithPath: bundle)
            while folder.path.contains(".xctest") { folder.deleteLastPathComponent() }
            let path = folder.appendingPathComponent("flash-llm").path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        fatalError("flash-llm is not beside the tests: \(bundles)")
    }()

    /// Starts the tool with its standard output and error in files of `scratch`.
    /// - Parameter environment: variables to set beside those that every test gets.
    static func start(
        _ arguments: [String], in scratch: ScratchFolder, environment: [String: String] = [:]
    ) throws -> Run {
        try Run(path, arguments, scratch, environment)
    }

    /// Runs the tool in `scratch` and waits for its end.
    static func run(_ arguments: String..., in scratch: ScratchFolder) throws -> Outcome {
        try run(arguments, in: scratch)
    }

    static func run(_ arguments: [String], in scratch: ScratchFolder) throws -> Outcome {
        try start(arguments, in: scratch).wait()
    }

    /// Runs a shell command in which "$0" is the tool.
    static func shell(_ command: String, in scratch: ScratchFolder) throws -> Outcome {
        try Run("/bin/sh", ["-c", command, path], scratch).wait()
    }

    /// A running process. Its outputs go to files outside the scratch folder, whose content tests look at.
    struct Run {
        let process = Process()
        private let logs = ScratchFolder()

        fileprivate init(
            _ executable: String, _ arguments: [String], _ scratch: ScratchFolder, _ variables: [String: String] = [:]
        ) throws {
            process.executableURL = URL(fileURLWithPath: executable)
            process.arguments = arguments
            process.currentDirectoryURL = URL(fileURLWithPath: scratch.path)
            var environment = ProcessInfo.processInfo.environment
            environment["FLASH_LLM_HOME"] = scratch.path("no-cache")
            // Measuring the machine would take seconds, and give other formats every time.
            try logs.write(TestProfile().text, to: "profile.json")
            environment["FLASH_LLM_PROFILE"] = logs.path("profile.json")
            environment.merge(variables) { $1 }
            process.environment = environment
            process.standardInput = FileHandle.nullDevice
            for name in ["output", "errors"] { try logs.write("", to: name) }
            process.standardOutput = FileHandle(forWritingAtPath: logs.path("output"))
            process.standardError = FileHandle(forWritingAtPath: logs.path("errors"))
            try process.run()
        }

        func wait() throws -> Outcome {
            process.waitUntilExit()
            return Outcome(
                status: process.terminationStatus, output: try logs.text("output"), errors: try logs.text("errors"))
        }
    }
}

import ArgumentParser
import CUDA
import OrderedJSON
import Terminal

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Hidden: for `scripts/compile-kernels`, which looks into the code, and for whoever writes kernels.
struct CompileKernelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compile-kernels",
        abstract: "Compile the GPU kernels, which needs NVRTC but no GPU, and say what each takes.",
        discussion: """
            Nothing is taken from the cache or kept there. Each file becomes FILE.ARCH.cubin in the output folder.

            Examples:
              flash-llm compile-kernels --arch sm_80,sm_90 -o cubins
              FLASH_LLM_NVRTC=/opt/cuda/lib64/libnvrtc.so.13 flash-llm compile-kernels --json
            """, shouldDisplay: false)

    @Option(help: ArgumentHelp("Architectures to compile for, separated by commas.", valueName: "list"))
    var arch = "sm_80,sm_89,sm_90"

    @Option(help: ArgumentHelp("Compile this file only.", valueName: "file"))
    var file: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("Folder for the code.", valueName: "dir"), completion: .directory)
    var output: String?

    @Flag(help: "Let profilers show lines of source.")
    var lineInfo = false

    @Flag(help: "Print one JSON object.")
    var json = false

    private struct Row {
        let file: String
        let resources: KernelResources
    }

    private func capabilities() throws -> [Capability] {
        try arch.split(separator: ",").map { name in
            guard let capability = Capability(architecture: String(name)) else {
                throw ValidationError("--arch must list architectures such as sm_90, found '\(name)'")
            }
            return capability
        }
    }

    func validate() throws {
        if try capabilities().isEmpty { throw ValidationError("--arch must name an architecture") }
    }

    func run() throws {
        let console = Console()
        let nvrtc = try NVRTC.load(path: NVRTC.path(in: console.environment))
        let sources = try KernelSource.chosen(in: console.environment)
        let compiler = KernelCompiler(nvrtc, sources: sources, cacheFolder: nil)
        var options = KernelOptions()
        options.reportsResources = true
        options.lineInformation = lineInfo
        if let output { try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true) }
        var rows: [Row] = []
        for file in file.map({ [$0] }) ?? compiler.files {
            for capability in try capabilities() {
                let result = try compile(file, capability, options, compiler)
                rows += KernelResources.parse(result.log).map { Row(file: file, resources: $0) }
                guard let output else { continue }
                let path = "\(output)/\(file).\(capability.architecture).cubin"
                try Data(result.cubin).write(to: URL(filePath: path), options: .atomic)
            }
        }
        if json { print(json(rows, nvrtc).text()) } else { print(text(rows, console), terminator: "") }
    }

    /// An error of the source is shown with the compiler's whole log: who runs this command has written it.
    private func compile(
        _ file: String, _ capability: Capability, _ options: KernelOptions, _ compiler: KernelCompiler
    ) throws(CUDAError) -> KernelCompiler.Output {
        do {
            return try compiler.compile(file, for: capability, options: options)
        } catch {
            if case .compilationFailed(_, _, let log) = error { TextSink.standardError.write(log) }
            throw error
        }
    }

    private func text(_ rows: [Row], _ console: Console) -> String {
        var table = Table([
            .text("kernel"), .text("file"), .text("arch"), .number("registers"), .number("shared"), .number("stack"),
            .number("spills"),
        ])
        for row in rows {
            let resources = row.resources
            table.append([
                resources.kernel, row.file, resources.architecture, "\(resources.registers)",
                "\(resources.staticSharedBytes)", "\(resources.stackBytes)",
                "\(resources.spillStoreBytes + resources.spillLoadBytes)",
            ])
        }
        return table.text(for: console.output)
    }

    private func json(_ rows: [Row], _ nvrtc: NVRTC) -> JSON {
        [
            "nvrtc": .string("\(nvrtc.version)"),
            "kernels": .array(
                rows.map { row in
                    [
                        "kernel": .string(row.resources.kernel), "file": .string(row.file),
                        "architecture": .string(row.resources.architecture),
                        "registers": .integer(row.resources.registers),
                        "static_shared_bytes": .integer(row.resources.staticSharedBytes),
                        "stack_bytes": .integer(row.resources.stackBytes),
                        "spill_store_bytes": .integer(row.resources.spillStoreBytes),
                        "spill_load_bytes": .integer(row.resources.spillLoadBytes),
                    ]
                }),
        ]
    }
}

/// The order of the targets: arrows point down only.
enum House {
    /// From the ground up; a target may depend on those of the floors below its own.
    static let floors: [[String]] = [
        ["CCUDA", "CFiles", "CKernels", "Charts", "OrderedJSON", "Scheduling", "Terminal"],
        ["CUDA", "Hub", "Tensors", "Tokenizers"],
        ["Sparse"],
        ["CUDAKernels", "LinearAlgebra"],
        ["Checkpoints"],
        ["Transformer"],
        ["Training"],
        ["Engine", "Pruning", "Synthesis"],
        ["FlashLLM", "GPUBenchmark"],
        ["flash-llm"],
    ]

    private static func floor(of target: String) -> Int? { floors.firstIndex { $0.contains(target) } }

    /// Targets that have no place in the house, arrows that point up or sideways, arrows out of the house, and folders
    /// that are no target's.
    static func violations(in manifest: Manifest, files: [SourceFile]) -> [Violation] {
        var found: [Violation] = []
        for target in manifest.targets where target.isInHouse {
            func report(_ what: String) { found.append(Violation(manifest.path, target.line, what)) }
            guard let floor = floor(of: target.name) else {
                report("\(target.name) is on no floor of the house")
                continue
            }
            for dependency in target.dependencies {
                guard let other = self.floor(of: dependency) else {
                    report("\(target.name) depends on \(dependency), which is on no floor of the house")
                    continue
                }
                if other >= floor { report("\(target.name) depends on \(dependency), which is not below it") }
            }
        }
        for file in files where file.path.hasPrefix("Sources/") && manifest.target(ofFile: file.path) == nil {
            found.append(Violation(file.path, 1, "in no target's folder"))
        }
        return found
    }

    /// Imports of our modules that the file's target does not declare, and declared ones that no file of it imports.
    static func importViolations(in manifest: Manifest, files: [SourceFile]) -> [Violation] {
        let ours = Dictionary(uniqueKeysWithValues: manifest.targets.map { ($0.module, $0.name) })
        var found: [Violation] = []
        var used: [String: Set<String>] = [:]
        for file in files where file.isSwift {
            guard let target = manifest.target(ofFile: file.path) else { continue }
            for (index, line) in file.codeLines.enumerated() {
                guard let module = Imports.module(importedBy: line), let name = ours[module] else { continue }
                used[target.name, default: []].insert(name)
                if !target.dependencies.contains(name) {
                    found.append(
                        Violation(file.path, index + 1, "imports \(module), which \(target.name) does not declare"))
                }
            }
        }
        // A header that is called like its module stands for it.
        for file in files where file.isC {
            guard let target = manifest.target(ofFile: file.path) else { continue }
            for dependency in target.dependencies where includes("/\(dependency).h", in: file) {
                used[target.name, default: []].insert(dependency)
            }
        }
        for target in manifest.targets {
            for dependency in target.dependencies where used[target.name]?.contains(dependency) != true {
                found.append(
                    Violation(manifest.path, target.line, "\(target.name) declares \(dependency) and never imports it"))
            }
        }
        return found
    }

    /// C headers that no other file includes.
    static func deadHeaders(in files: [SourceFile]) -> [Violation] {
        let sources = files.filter(\.isC)
        let headers = sources.filter(\.isHeader)
        return headers.filter { header in
            !sources.contains { $0.path != header.path && includes(header.path, in: $0) }
        }.map { Violation($0.path, 1, "included nowhere") }
    }

    private static func includes(_ header: String, in file: SourceFile) -> Bool {
        file.lines.contains { line in
            let words = line.split(separator: " ")
            guard words.count >= 2, words[0] == "#include" else { return false }
            return header.hasSuffix("/" + words[1].filter { $0 != "\"" && $0 != "<" && $0 != ">" })
        }
    }
}

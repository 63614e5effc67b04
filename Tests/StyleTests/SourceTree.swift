import Foundation

/// The files that the style binds: everything of ours that people read as code.
struct SourceTree {
    let files: [SourceFile]
    let manifest: Manifest

    static let roots = [".ci", "Package.swift", "Sources", "Tests", "scripts"]
    /// Folders of reference data; a test that holds some has one.
    static let exemptFolder = "Fixtures"

    /// The package that this file belongs to.
    static let packageRoot = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// Reads all text files below ``roots`` in the folder `root`.
    init(root: String) throws {
        let manager = FileManager.default
        var paths: [String] = []
        for name in Self.roots {
            var isFolder: ObjCBool = false
            guard manager.fileExists(atPath: root + "/" + name, isDirectory: &isFolder) else { continue }
            if isFolder.boolValue {
                let inside = try manager.subpathsOfDirectory(atPath: root + "/" + name)
                paths += inside.map { name + "/" + $0 }
            } else {
                paths.append(name)
            }
        }
        files = try paths.sorted().compactMap { path in
            let names = path.split(separator: "/").dropFirst()
            if names.contains(where: { $0 == Self.exemptFolder || $0 == "__pycache__" || $0.hasPrefix(".") }) {
                return nil
            }
            var isFolder: ObjCBool = false
            guard manager.fileExists(atPath: root + "/" + path, isDirectory: &isFolder), !isFolder.boolValue else {
                return nil
            }
            let bytes = try Data(contentsOf: URL(filePath: root + "/" + path))
            return String(validating: bytes, as: UTF8.self).map { SourceFile(path: path, text: $0) }
        }
        guard let package = files.first(where: { $0.path == "Package.swift" }) else {
            throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: root + "/Package.swift"])
        }
        manifest = Manifest(package)
    }

    /// Everything that breaks the style, in the order of the files.
    func violations() -> [Violation] {
        var found = files.flatMap { LineRules.violations(in: $0) + FunctionLengths.violations(in: $0) }
        for file in files {
            guard let target = manifest.target(ofFile: file.path), target.isInHouse else { continue }
            found += LibraryRules.violations(in: file, target: target.name)
        }
        found += House.violations(in: manifest, files: files)
        found += House.importViolations(in: manifest, files: files)
        found += House.deadHeaders(in: files)
        return found.sorted { ($0.path, $0.line, $0.what) < ($1.path, $1.line, $1.what) }
    }
}

import Checkpoints
import Engine
import Hub
import OrderedJSON
import Sparse

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where measured profiles of this machine are kept: `ROOT/profiles/`, a file for each instruction set and number of
/// threads, beside the pulled models.
///
/// What lies there is never trusted: a file that is damaged, or was measured on another processor or with other
/// kernels, counts as none. A folder that cannot be written to is no error: then the machine is measured every time.
struct ProfileStore {
    private let folder: String?

    init(environment: [String: String]) {
        folder = (try? ModelCache(environment: environment)).map { $0.root + "/profiles" }
    }

    /// Where the profile of `machine` is or would be; nil without a home.
    func path(of machine: MachineProfile.Machine) -> String? {
        folder.map { "\($0)/\(machine.instructionSet)-\(machine.threads)-threads-\(Self.slug(machine.processor)).json" }
    }

    /// The kept profile of exactly this machine.
    func profile(of machine: MachineProfile.Machine) -> MachineProfile? {
        guard let path = path(of: machine), let profile = try? Self.read(path), profile.machine == machine else {
            return nil
        }
        return profile
    }

    /// Keeps a profile, in one step, if there is a place for it.
    func keep(_ profile: MachineProfile) {
        guard let folder, let path = path(of: profile.machine) else { return }
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try? Data((profile.json.text() + "\n").utf8).write(to: URL(filePath: path), options: .atomic)
    }

    /// Reads a profile that a person names.
    /// - Throws: `CheckpointError` if there is no such file; `CommandFailure` if it is no profile.
    static func read(_ path: String) throws -> MachineProfile {
        let bytes = try Checkpoint.fileBytes(path)
        // Longer ones are refused for their size, so their end need not be read.
        let text = Array(bytes.buffer.prefix(MachineProfile.fileByteLimit + 1))
        do throws(ProfileError) {
            return try withExtendedLifetime(bytes) { () throws(ProfileError) in
                try MachineProfile(parsing: text)
            }
        } catch {
            throw CommandFailure("\(path) is no profile of a machine: \(error)")
        }
    }

    /// A processor's name as part of a file's: letters, digits and dashes.
    private static func slug(_ name: String) -> String {
        let words = name.lowercased().split { !$0.isASCII || !($0.isLetter || $0.isNumber) }
        return String(words.joined(separator: "-").prefix(60))
    }
}

import OrderedJSON
import Terminal

extension RepositoryListing {
    /// Reads the hub's answer to `/api/models/OWNER/NAME/revision/REVISION?blobs=true`.
    ///
    /// One bad path or size refuses the whole answer: a hub that sends such does not deserve to be trusted with the
    /// rest.
    /// - Throws: `RepositoryError.badListing`.
    init(parsing answer: [UInt8]) throws(RepositoryError) {
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: answer) } catch {
            throw .badListing(reason: error.description)
        }
        guard let commit = json["sha"]?.stringValue, RepositoryReference.isCommit(commit) else {
            throw .badListing(reason: "\"sha\" is no commit of 40 hexadecimal digits")
        }
        guard let siblings = json["siblings"]?.arrayValue else {
            throw .badListing(reason: "\"siblings\" is no list of files")
        }
        guard siblings.count <= Self.fileLimit else {
            throw .badListing(reason: "it lists \(siblings.count) files, and at most \(Self.fileLimit) are accepted")
        }
        var files: [RepositoryFile] = []
        files.reserveCapacity(siblings.count)
        var paths: Set<String> = []
        var total = 0
        for sibling in siblings {
            let file = try Self.file(sibling)
            guard paths.insert(file.path).inserted else {
                throw .badListing(reason: "it lists '\(Self.shortened(file.path))' twice")
            }
            // Each is at most 2^50 and there are at most 10^5: no overflow.
            total += file.byteCount
            guard total <= Self.byteLimit else {
                throw .badListing(reason: "its files have more than \(Format.bytes(Self.byteLimit)) together")
            }
            files.append(file)
        }
        self.commit = commit
        self.files = files
    }

    private static func file(_ entry: JSON) throws(RepositoryError) -> RepositoryFile {
        guard let path = entry["rfilename"]?.stringValue else {
            throw .badListing(reason: "a file has no \"rfilename\"")
        }
        if let reason = complaint(aboutPath: path) {
            throw .badListing(reason: "the path '\(shortened(path))' \(reason)")
        }
        guard let size = entry["size"]?.intValue, (0...byteLimit).contains(size) else {
            throw .badListing(reason: "the size of '\(shortened(path))' is missing or absurd")
        }
        if let large = entry.entry("lfs") {
            guard let text = (large["sha256"] ?? large["oid"])?.stringValue, HexadecimalDigest.isValid(text, digits: 64)
            else {
                throw .badListing(reason: "the SHA-256 of '\(shortened(path))' has not 64 hexadecimal digits")
            }
            if let other = large["size"]?.intValue, other != size {
                throw .badListing(reason: "'\(shortened(path))' has two sizes, \(size) and \(other)")
            }
            return RepositoryFile(path: path, byteCount: size, digest: .sha256(text))
        }
        guard let text = entry["blobId"]?.stringValue, HexadecimalDigest.isValid(text, digits: 40) else {
            throw .badListing(reason: "the \"blobId\" of '\(shortened(path))' has not 40 hexadecimal digits")
        }
        return RepositoryFile(path: path, byteCount: size, digest: .gitBlob(text))
    }

    /// What is wrong with a path that is to name a file below a folder of ours; nil if nothing is.
    static func complaint(aboutPath path: String) -> String? {
        guard !path.isEmpty else { return "is empty" }
        guard path.utf8.count <= 1024 else { return "is longer than 1024 bytes" }
        guard !path.hasPrefix("/") else { return "is absolute" }
        guard !path.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }) else {
            return "has control characters"
        }
        guard !path.contains("\\") else { return "has a backslash" }
        for component in path.split(separator: "/", omittingEmptySubsequences: false) {
            guard !component.isEmpty else { return "has an empty component" }
            guard component != ".", component != ".." else { return "leads out of its folder" }
            guard component.utf8.count <= 255 else { return "has a component of more than 255 bytes" }
        }
        return nil
    }

    /// Fit for a sentence.
    private static func shortened(_ path: String) -> String {
        path.printable.truncated(toWidth: 80, allowsUnicode: false)
    }
}

import Crypto
public import OrderedJSON

/// A repository that a ``FakeHub`` serves.
public struct FakeRepository: Sendable {
    public struct File: Sendable {
        public let path: String
        public let content: [UInt8]
        /// Large files lie on the second server and are named by their SHA-256.
        public let isLarge: Bool

        public init(_ path: String, _ content: [UInt8], isLarge: Bool = false) {
            self.path = path
            self.content = content
            self.isLarge = isLarge
        }

        public init(_ path: String, _ text: String) { self.init(path, Array(text.utf8)) }

        public var sha256: String { hexadecimal(SHA256.hash(data: content)) }

        /// What `git hash-object` prints.
        public var blobIdentifier: String {
            hexadecimal(Insecure.SHA1.hash(data: Array("blob \(content.count)\0".utf8) + content))
        }

        /// What the cache names its content by.
        public var digest: String { isLarge ? sha256 : blobIdentifier }
    }

    /// `owner/name`.
    public let name: String
    public let commit: String
    /// Branches and tags that stand for the commit.
    public let revisions: [String]
    public let files: [File]

    public init(
        _ name: String = "owner/tiny", commit: String = String(repeating: "c0ffee42", count: 5),
        revisions: [String] = ["main"], files: [File]
    ) {
        self.name = name
        self.commit = commit
        self.revisions = revisions
        self.files = files
    }

    /// The answer to `/api/models/OWNER/NAME/revision/REVISION?blobs=true`, as the hub words it.
    public var listing: JSON {
        let siblings = files.map { file -> JSON in
            var entry: JSON = [
                "rfilename": .string(file.path), "size": .integer(file.content.count),
                "blobId": .string(file.blobIdentifier),
            ]
            if file.isLarge, case .object(var members) = entry {
                members["lfs"] = [
                    "sha256": .string(file.sha256), "size": .integer(file.content.count), "pointerSize": 135,
                ]
                entry = .object(members)
            }
            return entry
        }
        return [
            "_id": "0123456789abcdef01234567", "id": .string(name), "modelId": .string(name), "private": false,
            "gated": false, "sha": .string(commit), "siblings": .array(siblings),
        ]
    }
}

private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { byte in
        let text = String(byte, radix: 16)
        return text.count == 2 ? text : "0" + text
    }.joined()
}

import Crypto

/// SHA-256, or Git's SHA-1 of a blob, of content that comes piece by piece.
struct ContentHasher {
    private var sha256: SHA256?
    private var sha1: Insecure.SHA1?

    init(_ digest: ContentDigest, byteCount: Int) {
        switch digest {
        case .sha256: sha256 = SHA256()
        case .gitBlob:
            // Source: "Pro Git", chapter 10.2, Object Storage.
            var hasher = Insecure.SHA1()
            hasher.update(data: Array("blob \(byteCount)\0".utf8))
            sha1 = hasher
        }
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        // In place: a copy of a hasher would copy what it holds.
        sha256?.update(bufferPointer: bytes)
        sha1?.update(bufferPointer: bytes)
    }

    /// Lower-case hexadecimal digits.
    func finish() -> String {
        if let sha256 { return HexadecimalDigest.text(sha256.finalize()) }
        if let sha1 { return HexadecimalDigest.text(sha1.finalize()) }
        preconditionFailure("a hasher without an algorithm")
    }
}

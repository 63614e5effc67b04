// The standard library normalises strings to compare them, but has no public call for it. This system interface is the
// one swift-foundation builds on; Foundation's own call would cost every program its start-up time and memory.
@_spi(_Unicode) import Swift

/// Unicode's normalization form C.
///
/// Source: Unicode Standard Annex #15.
enum CanonicalComposition {
    /// The composed form of UTF-8 text, or nil if it is composed already for a reason that is quick to see: characters
    /// below U+0300 neither decompose into nor combine with anything else, and their UTF-8 has no byte above 0xCB.
    static func composed(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.contains(where: { $0 >= 0xCC }) else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        for scalar in String(decoding: text, as: UTF8.self)._nfc { result.append(contentsOf: UTF8.encode(scalar)!) }
        return result
    }

    static func composed(_ text: String) -> String {
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            composed(bytes).map { String(decoding: $0, as: UTF8.self) } ?? text
        }
    }
}

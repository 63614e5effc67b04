#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The sizes of the first processor's data caches.
public struct ProcessorCaches: Sendable, Equatable {
    /// The second level, which each core has for itself.
    public let secondLevelByteCount: Int
    /// The largest one.
    public let lastLevelByteCount: Int

    /// What the system says; where it says nothing, what most processors have: 1 MiB and 32 MiB.
    public static let current = ProcessorCaches(folder: "/sys/devices/system/cpu/cpu0/cache")

    init(secondLevelByteCount: Int, lastLevelByteCount: Int) {
        self.secondLevelByteCount = secondLevelByteCount
        self.lastLevelByteCount = lastLevelByteCount
    }

    /// - Parameter folder: a folder like Linux's: `index<n>` with the files `level`, `type` and `size` ("32768K").
    init(folder: String) {
        func text(_ index: Int, _ name: String) -> String? {
            guard let data = try? Data(contentsOf: URL(filePath: "\(folder)/index\(index)/\(name)")) else { return nil }
            return String(decoding: data, as: UTF8.self).split(whereSeparator: \.isWhitespace).first.map(String.init)
        }
        var sizes: [Int: Int] = [:]
        for index in 0..<16 {
            guard let level = text(index, "level").flatMap({ Int($0) }), text(index, "type") != "Instruction",
                let size = text(index, "size").flatMap(Self.byteCount)
            else { continue }
            sizes[level] = max(size, sizes[level] ?? 0)
        }
        secondLevelByteCount = sizes[2] ?? 1 << 20
        lastLevelByteCount = sizes.values.max() ?? 32 << 20
    }

    /// "32768K", "2M" or "512" in bytes; nil for anything else.
    static func byteCount(_ text: String) -> Int? {
        let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
        let unit = text.last.flatMap { units[$0] }
        guard let number = Int(unit == nil ? text : String(text.dropLast())), number > 0, number < 1 << 32 else {
            return nil
        }
        return number * (unit ?? 1)
    }
}

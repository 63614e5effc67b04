#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a report says about where it was made.
enum Machine {
    /// The processor's name as the system gives it; nil where it gives none.
    static let processorName: String? = {
        guard let data = FileManager.default.contents(atPath: "/proc/cpuinfo") else { return nil }
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") where line.hasPrefix("model name") {
            return line.split(separator: ":", maxSplits: 1).last.map { String($0.drop(while: \.isWhitespace)) }
        }
        return nil
    }()
}

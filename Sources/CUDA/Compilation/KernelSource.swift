import CCUDA

/// A source file of GPU kernels.
public struct KernelSource: Sendable, Equatable {
    /// What an `#include` calls it, without a folder: "spmm.cu".
    public let name: String
    public let text: String

    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }

    /// Files that are compiled are called .cu, all others are there to be included.
    public var isCompiled: Bool { name.hasSuffix(".cu") }

    /// The sources that this program carries, sorted by name.
    public static let embedded: [KernelSource] = (0..<flash_gpu_source_count()).map { index in
        KernelSource(
            name: String(cString: flash_gpu_source_name(index)), text: String(cString: flash_gpu_source_text(index)))
    }.sorted { $0.name < $1.name }
}

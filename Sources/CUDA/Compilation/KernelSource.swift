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

    /// The sources that programs compile: those that they carry, but for files of the same names in the folder that
    /// FLASH_LLM_KERNELS names. Who changes a kernel on a machine with a GPU needs no Swift there.
    /// - Throws: `noSources` if none of the folder's files has such a name.
    public static func chosen(in environment: [String: String]) throws(CUDAError) -> [KernelSource] {
        guard let folder = environment["FLASH_LLM_KERNELS"], !folder.isEmpty else { return embedded }
        let found = embedded.map { source in
            let bytes = KernelCache.contents("\(folder)/\(source.name)")
            return bytes.map { KernelSource(name: source.name, text: String(decoding: $0, as: UTF8.self)) }
        }
        guard found.contains(where: { $0 != nil }) else { throw .noSources(folder: folder) }
        return zip(found, embedded).map { $0 ?? $1 }
    }
}

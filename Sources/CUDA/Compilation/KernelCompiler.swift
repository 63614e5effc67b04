import Crypto

/// Compiles kernel files, and keeps what it compiled on disk.
public final class KernelCompiler: Sendable {
    public let compiler: NVRTC
    private let sources: [KernelSource]
    private let cache: KernelCache?

    /// Code for GPUs of one architecture.
    public struct Output: Sendable {
        public let cubin: [UInt8]
        /// The compiler's; empty if the code comes from the cache.
        public let log: String
        public let isFromCache: Bool
    }

    /// - Parameters:
    ///   - sources: all files, those that are included, too.
    ///   - cacheFolder: where compiled code is kept; nil to keep none. It is made when it is needed, and one that
    ///     cannot be written to is no error: then every program compiles anew.
    public init(_ compiler: NVRTC, sources: [KernelSource] = KernelSource.embedded, cacheFolder: String?) {
        self.compiler = compiler
        self.sources = sources
        cache = cacheFolder.map(KernelCache.init)
    }

    /// The files that can be compiled.
    public var files: [String] { sources.filter(\.isCompiled).map(\.name) }

    /// The code of the kernels in `file`: from the cache, or compiled, some 60 ms, and kept there.
    ///
    /// Programs may do so at the same time: entries appear whole or not at all, and damaged ones are replaced.
    /// - Throws: `unknownSource`, `compilationFailed`, `compilerFailed`.
    public func compile(
        _ file: String, for capability: Capability, options: KernelOptions = KernelOptions()
    ) throws(CUDAError) -> Output {
        guard let source = sources.first(where: { $0.name == file && $0.isCompiled }) else {
            throw .unknownSource(file: file, known: files)
        }
        let headers = sources.filter { !$0.isCompiled }
        let arguments = options.arguments(for: capability, compiler: compiler.version)
        let architecture = options.architecture(capability)
        let key = key(of: source, headers, arguments)
        let entry = "\(file.dropLast(".cu".count))-\(architecture)-\(key)"
        if let cubin = cache?.cubin(of: entry) { return Output(cubin: cubin, log: "", isFromCache: true) }
        let (cubin, log) = try compiler.compile(
            source, headers: headers, options: arguments, architecture: architecture)
        cache?.keep(cubin, as: entry)
        return Output(cubin: cubin, log: log, isFromCache: false)
    }

    /// A SHA-256 of everything that the code depends on, each part with its length before it, so that no two lists of
    /// parts look the same.
    private func key(of source: KernelSource, _ headers: [KernelSource], _ arguments: [String]) -> String {
        var hasher = SHA256()
        func add(_ text: String) {
            let bytes = Array(text.utf8)
            withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { hasher.update(bufferPointer: $0) }
            hasher.update(data: bytes)
        }
        add("\(compiler.version)")
        for argument in arguments { add(argument) }
        for source in [source] + headers {
            add(source.name)
            add(source.text)
        }
        return Hexadecimal.text(hasher.finalize())
    }
}

enum Hexadecimal {
    static func text(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

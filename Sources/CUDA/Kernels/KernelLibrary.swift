import Synchronization

/// The kernels of one GPU, compiled and loaded when they are first asked for.
public final class KernelLibrary: Sendable {
    public let context: Context
    public let compiler: KernelCompiler
    private let options: KernelOptions
    private let loaded = Mutex(Loaded())

    private struct Loaded {
        /// By file.
        var modules: [String: Module] = [:]
        /// By file and name.
        var kernels: [String: [String: Kernel]] = [:]
    }

    public init(_ context: Context, compiler: KernelCompiler, options: KernelOptions = KernelOptions()) {
        self.context = context
        self.compiler = compiler
        self.options = options
    }

    /// The kernel `name` of `file`. A file is compiled and loaded once; who asks meanwhile waits.
    ///
    /// Layers ask once and keep the kernel: this is a lock and two look-ups.
    /// - Throws: `unknownSource`, `unknownKernel`, `compilationFailed`, `compilerFailed`, `compilerTooNew`,
    ///   `callFailed`.
    public func kernel(named name: String, in file: String) throws(CUDAError) -> Kernel {
        let result = loaded.withLock { loaded in
            Result { () throws(CUDAError) in
                if let kernel = loaded.kernels[file]?[name] { return kernel }
                let module: Module
                if let kept = loaded.modules[file] {
                    module = kept
                } else {
                    module = try load(file)
                    loaded.modules[file] = module
                }
                let kernel = try Kernel(named: name, in: module)
                loaded.kernels[file, default: [:]][name] = kernel
                return kernel
            }
        }
        return try result.get()
    }

    private func load(_ file: String) throws(CUDAError) -> Module {
        let output = try compiler.compile(file, for: context.device.capability, options: options)
        do {
            return try Module(output.cubin, file: file, in: context)
        } catch {
            // The driver says that the image is invalid, and not why.
            let versions = (compiler: compiler.compiler.version, driver: context.driver.version)
            guard case .callFailed = error, versions.compiler.major > versions.driver.major else { throw error }
            throw .compilerTooNew(found: versions.compiler, driver: versions.driver)
        }
    }
}

import Synchronization

/// The kernels of one GPU, compiled and loaded when they are first asked for.
public final class KernelLibrary: Sendable {
    public let context: Context
    public let compiler: KernelCompiler
    private let options: KernelOptions
    private let loaded = Mutex(Loaded())

    private struct Loaded {
        /// By file and instance.
        var modules: [String: Module] = [:]
        /// By file and instance, then by name.
        var kernels: [String: [String: Kernel]] = [:]
    }

    public init(_ context: Context, compiler: KernelCompiler, options: KernelOptions = KernelOptions()) {
        self.context = context
        self.compiler = compiler
        self.options = options
    }

    /// The kernel `name` of `file`. A file is compiled and loaded once; who asks meanwhile waits.
    ///
    /// A file with dozens of instances of a template takes seconds; `instance` compiles one, as the macro
    /// `FLASH_GPU_INSTANCE` that such files look at.
    ///
    /// Layers ask once and keep the kernel: this is a lock and two look-ups.
    /// - Throws: `unknownSource`, `unknownKernel`, `compilationFailed`, `compilerFailed`, `compilerTooNew`,
    ///   `callFailed`.
    public func kernel(named name: String, in file: String, instance: String? = nil) throws(CUDAError) -> Kernel {
        let key = instance.map { "\(file) \($0)" } ?? file
        var options = options
        if let instance { options.defines.append((name: "FLASH_GPU_INSTANCE", value: instance)) }
        let chosen = options
        let result = loaded.withLock { loaded in
            Result { () throws(CUDAError) in
                if let kernel = loaded.kernels[key]?[name] { return kernel }
                let module: Module
                if let kept = loaded.modules[key] {
                    module = kept
                } else {
                    module = try load(file, chosen)
                    loaded.modules[key] = module
                }
                let kernel = try Kernel(named: name, in: module)
                loaded.kernels[key, default: [:]][name] = kernel
                return kernel
            }
        }
        return try result.get()
    }

    private func load(_ file: String, _ options: KernelOptions) throws(CUDAError) -> Module {
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

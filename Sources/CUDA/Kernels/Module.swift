import CCUDA

/// The code of one kernel file, loaded into a context.
public final class Module: @unchecked Sendable {
    public let context: Context
    /// The file that it was compiled from, for errors.
    public let file: String
    private let handle: CUmodule

    /// - Parameter cubin: code for the context's GPU, as ``KernelCompiler`` makes it.
    /// - Throws: `callFailed`.
    public init(_ cubin: [UInt8], file: String, in context: Context) throws(CUDAError) {
        var handle: CUmodule?
        try context.call("cuModuleLoadData") { functions in
            cubin.withUnsafeBytes { functions.cuModuleLoadData!(&handle, $0.baseAddress) }
        }
        guard let handle else { preconditionFailure("cuModuleLoadData succeeded and gave no module") }
        self.context = context
        self.file = file
        self.handle = handle
    }

    deinit {
        context.release { $0.cuModuleUnload!(handle) }
    }

    /// - Throws: `unknownKernel`, `callFailed`.
    func function(named name: String) throws(CUDAError) -> CUfunction {
        var function: CUfunction?
        do {
            try context.call("cuModuleGetFunction") { $0.cuModuleGetFunction!(&function, handle, name) }
        } catch .callFailed(_, code: FLASH_CUDA_ERROR_NOT_FOUND, _, _) {
            throw .unknownKernel(name: name, file: file)
        }
        guard let function else { preconditionFailure("cuModuleGetFunction succeeded and gave no function") }
        return function
    }
}

public import CCUDA

/// NVIDIA's runtime compiler, as checked calls.
///
/// It needs neither a driver nor a GPU, so kernels are compiled and looked at on any machine.
///
/// Safety: the table never changes, and NVRTC may compile on many threads at once.
public final class NVRTC: @unchecked Sendable {
    public let version: CUDAVersion
    /// The library's file; nil if the system does not say.
    public let path: String?

    fileprivate let functions: flash_nvrtc

    /// The compiler behind `table`.
    /// - Throws: `incompleteTable`, `compilerFailed`.
    public init(table: flash_nvrtc) throws(CUDAError) {
        var functions = table
        if let function = flash_nvrtc_missing_function(&functions) {
            throw .incompleteTable(function: String(cString: function))
        }
        self.functions = functions
        path = flash_nvrtc_path(&functions).map { String(cString: $0) }
        var major: Int32 = 0
        var minor: Int32 = 0
        let result = functions.nvrtcVersion!(&major, &minor)
        version = CUDAVersion(major: Int(major), minor: Int(minor))
        try check(result, "nvrtcVersion")
    }

    /// The file that FLASH_LLM_NVRTC names; nil where it names none.
    public static func path(in environment: [String: String]) -> String? {
        environment["FLASH_LLM_NVRTC"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Loads the library at `path`; nil to look in the usual places.
    /// - Parameter major: the version to look for first, 13 or 12.
    /// - Throws: `noCompiler`, which says where was looked; `compilerFailed`.
    public static func load(path: String? = nil, major: Int = 13) throws(CUDAError) -> NVRTC {
        var table = flash_nvrtc()
        if let reason = flash_cuda_load_nvrtc(&table, path, Int32(clamping: major)) {
            throw .noCompiler(reason: String(cString: reason))
        }
        return try NVRTC(table: table)
    }

    /// Compiles one file.
    /// - Parameters:
    ///   - headers: what it may include.
    ///   - options: NVRTC's.
    ///   - architecture: for errors; the options name it, too.
    /// - Returns: the code for the GPU, and the compiler's log, which may be empty.
    /// - Throws: `compilationFailed` if the source has errors; `compilerFailed`.
    func compile(
        _ file: KernelSource, headers: [KernelSource], options: [String], architecture: String
    ) throws(CUDAError) -> (cubin: [UInt8], log: String) {
        let program = try NVRTCProgram(file, headers: headers, compiler: self)
        let options = CStrings(options)
        let result = options.withPointers {
            functions.nvrtcCompileProgram!(program.handle, Int32($0.count), $0.baseAddress)
        }
        let log = try program.log()
        if Int(result) == FLASH_NVRTC_ERROR_COMPILATION {
            throw .compilationFailed(file: file.name, architecture: architecture, log: log)
        }
        guard result == 0 else {
            // A wrong option, mostly: then the log says which.
            let text = log.isEmpty ? text(of: result) : log.joinedLines
            throw .compilerFailed(call: "nvrtcCompileProgram", code: Int(result), text: text)
        }
        return (try program.cubin(), log)
    }

    fileprivate func check(_ result: nvrtcResult, _ call: String) throws(CUDAError) {
        guard result != 0 else { return }
        throw .compilerFailed(call: call, code: Int(result), text: text(of: result))
    }

    private func text(of result: nvrtcResult) -> String {
        functions.nvrtcGetErrorString!(result).map { String(cString: $0) } ?? "NVRTC gives no reason"
    }
}

/// A program of NVRTC while it is compiled: made and destroyed in one function, so it is not shared.
private struct NVRTCProgram: ~Copyable {
    let handle: nvrtcProgram
    private let compiler: NVRTC

    init(_ file: KernelSource, headers: [KernelSource], compiler: NVRTC) throws(CUDAError) {
        self.compiler = compiler
        handle = try Self.create(file, headers, compiler)
    }

    deinit {
        var handle: nvrtcProgram? = handle
        _ = compiler.functions.nvrtcDestroyProgram!(&handle)
    }

    private static func create(
        _ file: KernelSource, _ headers: [KernelSource], _ compiler: NVRTC
    ) throws(CUDAError) -> nvrtcProgram {
        var handle: nvrtcProgram?
        let texts = CStrings(headers.map(\.text))
        let names = CStrings(headers.map(\.name))
        let result = texts.withPointers { texts in
            names.withPointers { names in
                compiler.functions.nvrtcCreateProgram!(
                    &handle, file.text, file.name, Int32(headers.count), texts.baseAddress, names.baseAddress)
            }
        }
        try compiler.check(result, "nvrtcCreateProgram")
        guard let handle else { preconditionFailure("nvrtcCreateProgram succeeded and gave no program") }
        return handle
    }

    func log() throws(CUDAError) -> String {
        var count = 0
        try compiler.check(compiler.functions.nvrtcGetProgramLogSize!(handle, &count), "nvrtcGetProgramLogSize")
        // The count includes the zero at the end.
        var bytes = [CChar](repeating: 0, count: count + 1)
        try compiler.check(compiler.functions.nvrtcGetProgramLog!(handle, &bytes), "nvrtcGetProgramLog")
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func cubin() throws(CUDAError) -> [UInt8] {
        var count = 0
        try compiler.check(compiler.functions.nvrtcGetCUBINSize!(handle, &count), "nvrtcGetCUBINSize")
        var bytes = [UInt8](repeating: 0, count: count)
        let result = bytes.withUnsafeMutableBytes {
            compiler.functions.nvrtcGetCUBIN!(handle, $0.baseAddress?.assumingMemoryBound(to: CChar.self))
        }
        try compiler.check(result, "nvrtcGetCUBIN")
        return bytes
    }
}

/// Strings for C, which live as long as this value.
private struct CStrings: ~Copyable {
    private let pointers: UnsafeMutableBufferPointer<UnsafePointer<CChar>?>

    init(_ strings: [String]) {
        pointers = .allocate(capacity: strings.count)
        for (index, string) in strings.enumerated() {
            let bytes = string.utf8CString
            let copy = UnsafeMutableBufferPointer<CChar>.allocate(capacity: bytes.count)
            _ = copy.initialize(fromContentsOf: bytes)
            pointers.initializeElement(at: index, to: UnsafePointer(copy.baseAddress))
        }
    }

    deinit {
        for pointer in pointers { pointer?.deallocate() }
        pointers.deallocate()
    }

    borrowing func withPointers<Result>(
        _ body: (UnsafeBufferPointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        body(UnsafeBufferPointer(pointers))
    }
}

extension String {
    /// One line, as errors are.
    fileprivate var joinedLines: String { split(whereSeparator: \.isNewline).joined(separator: " ") }
}

public import CCUDA
public import CUDA

/// NVIDIA's dense products, as checked calls: for long prompts, and what our kernels are compared with. Nothing needs
/// it.
///
/// Safety: the table and the handle never change. Calls of one handle must not overlap: the stream's user sees to it.
public final class CUBLAS: @unchecked Sendable {
    private let functions: flash_cublas
    private let handle: cublasHandle_t
    private let stream: Stream
    /// What NVIDIA recommends for GPUs of capability 9.0, and enough for older ones (cuBLAS reference,
    /// cublasSetWorkspace). Given by us, so that no product allocates, and each of a stream may use it.
    private let workspace: DeviceBuffer
    private static let workspaceByteCount = 32 << 20

    /// Loads the library, of the CUDA that the driver is for if it can be had.
    /// - Parameters:
    ///   - path: the library's file; nil to look in the usual places.
    ///   - stream: the one that products are given to.
    /// - Throws: `noLibrary`, which says where was looked; `libraryFailed`.
    public static func load(path: String? = nil, on stream: Stream) throws(CUDAError) -> CUBLAS {
        var table = flash_cublas()
        let major = Int32(clamping: stream.context.driverVersion.major)
        if let reason = flash_cuda_load_cublas(&table, path, major) {
            throw .noLibrary(reason: String(cString: reason))
        }
        return try CUBLAS(table: table, on: stream)
    }

    /// The library behind `table`, all of whose functions are there.
    /// - Throws: `libraryFailed`, `CUDAError` of the driver.
    public init(table: flash_cublas, on stream: Stream) throws(CUDAError) {
        try stream.context.makeCurrent()
        var created: cublasHandle_t?
        try Self.check(table.cublasCreate_v2!(&created), "cublasCreate", table)
        guard let created else { preconditionFailure("cublasCreate succeeded and gave no handle") }
        functions = table
        handle = created
        self.stream = stream
        workspace = try Self.workspace(created, table, stream)
        // From here on all properties are there, and what throws is followed by `deinit`.
        try Self.check(table.cublasSetStream_v2!(created, stream.pointer), "cublasSetStream", table)
        try Self.check(
            table.cublasSetWorkspace_v2!(
                created, UnsafeMutableRawPointer(bitPattern: UInt(workspace.address)), workspace.byteCount),
            "cublasSetWorkspace", table)
    }

    private static func workspace(
        _ handle: cublasHandle_t, _ functions: borrowing flash_cublas, _ stream: Stream
    ) throws(CUDAError) -> DeviceBuffer {
        do {
            return try DeviceBuffer(byteCount: workspaceByteCount, in: stream.context)
        } catch {
            _ = functions.cublasDestroy_v2!(handle)
            throw error
        }
    }

    deinit {
        // Destroying uses the current context, and waits for what is under way.
        if (try? stream.context.makeCurrent()) != nil { _ = functions.cublasDestroy_v2!(handle) }
    }

    /// Gives `output[t, r] = sum over k of weights[r, k] * input[t, k]` to the stream, on tensor cores, with float32
    /// sums.
    /// - Parameters:
    ///   - weights: a matrix of the dense layout.
    ///   - operands: as for our own products.
    /// - Throws: `libraryFailed`, `callFailed`.
    public func enqueue(_ weights: DeviceMatrix, _ operands: ProductOperands) throws(CUDAError) {
        precondition(weights.layout == .dense)
        try enqueue(weights.arrays[0].address, shapedAs: weights, operands)
    }

    /// The same with weights at an address: 16-bit `[rows, columns rounded up to a multiple of 8]` of the shape and
    /// type of `matrix`, whatever its layout.
    /// - Throws: `libraryFailed`, `callFailed`.
    func enqueue(
        _ weights: UInt64, shapedAs matrix: DeviceMatrix, _ operands: ProductOperands
    ) throws(CUDAError) {
        try stream.context.makeCurrent()
        let type = Int32(matrix.valueType == .bf16 ? FLASH_CUDA_TYPE_BF16 : FLASH_CUDA_TYPE_F16)
        let outputType = operands.outputType == .sixteenBit ? type : Int32(FLASH_CUDA_TYPE_F32)
        var one = Float(1)
        // What is multiplied with what the output holds.
        var kept: Float = operands.outputType == .addF32 ? 1 : 0
        // The library counts columns first: our row-major weights [rows, columns] are its [columns, rows], to be
        // transposed; activations are [columns, tokens], and the output [rows, tokens].
        let status = functions.cublasGemmEx!(
            handle, Int32(FLASH_CUBLAS_TRANSPOSED), Int32(FLASH_CUBLAS_NOT_TRANSPOSED), Int32(matrix.rows),
            Int32(operands.tokens), Int32(matrix.columns), &one,
            UnsafeRawPointer(bitPattern: UInt(weights)), type, Int32(matrix.denseStride),
            UnsafeRawPointer(bitPattern: UInt(operands.input)), type, Int32(operands.inputStride), &kept,
            UnsafeMutableRawPointer(bitPattern: UInt(operands.output)), outputType, Int32(operands.outputStride),
            Int32(FLASH_CUBLAS_COMPUTE_F32), Int32(FLASH_CUBLAS_ALGORITHM_DEFAULT))
        try Self.check(status, "cublasGemmEx", functions)
    }

    private static func check(
        _ status: Int32, _ call: String, _ functions: borrowing flash_cublas
    ) throws(CUDAError) {
        guard status != 0 else { return }
        let text = functions.cublasGetStatusString!(status).map { String(cString: $0) } ?? "no reason given"
        throw .libraryFailed(library: "cuBLAS", call: call, code: Int(status), text: text)
    }
}

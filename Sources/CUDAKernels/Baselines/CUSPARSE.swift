public import CCUDA
public import CUDA

/// NVIDIA's sparse products, as checked calls: what our kernels are compared with. Nothing else needs it.
///
/// Safety: the table and the handle never change. Calls of one handle must not overlap: the stream's user sees to it.
public final class CUSPARSE: @unchecked Sendable {
    fileprivate let functions: flash_cusparse
    fileprivate let handle: cusparseHandle_t
    fileprivate let stream: Stream

    /// Loads the library.
    /// - Parameters:
    ///   - path: the library's file; nil to look in the usual places.
    ///   - stream: the one that products are given to.
    /// - Throws: `noLibrary`, which says where was looked; `libraryFailed`.
    public static func load(path: String? = nil, on stream: Stream) throws(CUDAError) -> CUSPARSE {
        var table = flash_cusparse()
        if let reason = flash_cuda_load_cusparse(&table, path) { throw .noLibrary(reason: String(cString: reason)) }
        return try CUSPARSE(table: table, on: stream)
    }

    /// The library behind `table`, all of whose functions are there.
    /// - Throws: `libraryFailed`, `CUDAError` of the driver.
    public init(table: flash_cusparse, on stream: Stream) throws(CUDAError) {
        try stream.context.makeCurrent()
        var created: cusparseHandle_t?
        try Self.check(table.cusparseCreate!(&created), "cusparseCreate", table)
        guard let created else { preconditionFailure("cusparseCreate succeeded and gave no handle") }
        functions = table
        handle = created
        self.stream = stream
        // All properties are there: what throws is followed by `deinit`.
        try Self.check(table.cusparseSetStream!(created, stream.pointer), "cusparseSetStream", table)
    }

    deinit {
        if (try? stream.context.makeCurrent()) != nil { _ = functions.cusparseDestroy!(handle) }
    }

    fileprivate func check(_ status: Int32, _ call: String) throws(CUDAError) {
        try Self.check(status, call, functions)
    }

    private static func check(
        _ status: Int32, _ call: String, _ functions: borrowing flash_cusparse
    ) throws(CUDAError) {
        guard status != 0 else { return }
        let text = functions.cusparseGetErrorString!(status).map { String(cString: $0) } ?? "no reason given"
        throw .libraryFailed(library: "cuSPARSE", call: call, code: Int(status), text: text)
    }
}

/// A product of cuSPARSE, prepared for one matrix, one place of the operands and one number of tokens: what the library
/// finds out about the matrix beforehand is not part of what is timed.
public final class SparseLibraryProduct {
    private let library: CUSPARSE
    /// They must stay while the product does.
    private let weights: DeviceCSR
    private let operands: (input: DeviceBuffer, output: DeviceBuffer)
    private let descriptors: Descriptors
    private let workspace: DeviceBuffer

    /// The library's descriptions of three matrices, destroyed together.
    private final class Descriptors {
        let library: CUSPARSE
        var weights: cusparseSpMatDescr_t?
        var input: cusparseDnMatDescr_t?
        var output: cusparseDnMatDescr_t?

        init(_ library: CUSPARSE) { self.library = library }

        deinit {
            if let weights { _ = library.functions.cusparseDestroySpMat!(weights) }
            if let input { _ = library.functions.cusparseDestroyDnMat!(input) }
            if let output { _ = library.functions.cusparseDestroyDnMat!(output) }
        }
    }

    /// - Parameters:
    ///   - input: f16 `[tokens, columns]`.
    ///   - output: f16 `[tokens, rows]`.
    /// - Throws: `libraryFailed`, `CUDAError` of the driver.
    public init(
        _ library: CUSPARSE, _ weights: DeviceCSR, input: DeviceBuffer, output: DeviceBuffer, tokens: Int
    ) throws(CUDAError) {
        try library.stream.context.makeCurrent()
        let functions = library.functions
        func pointer(_ buffer: DeviceBuffer) -> UnsafeMutableRawPointer? {
            UnsafeMutableRawPointer(bitPattern: UInt(buffer.address))
        }
        let made = Descriptors(library)
        let (half, index) = (Int32(FLASH_CUDA_TYPE_F16), Int32(FLASH_CUSPARSE_INDEX_I32))
        try library.check(
            functions.cusparseCreateCsr!(
                &made.weights, Int64(weights.rows), Int64(weights.columns), Int64(weights.nonzeroCount),
                pointer(weights.rowOffsets), pointer(weights.columnIndices), pointer(weights.values), index, index,
                Int32(FLASH_CUSPARSE_BASE_ZERO), half), "cusparseCreateCsr")
        // Columns first: rows of tokens are its columns.
        let order = Int32(FLASH_CUSPARSE_COLUMNS_FIRST)
        try library.check(
            functions.cusparseCreateDnMat!(
                &made.input, Int64(weights.columns), Int64(tokens), Int64(weights.columns), pointer(input), half,
                order), "cusparseCreateDnMat")
        try library.check(
            functions.cusparseCreateDnMat!(
                &made.output, Int64(weights.rows), Int64(tokens), Int64(weights.rows), pointer(output), half, order),
            "cusparseCreateDnMat")
        var (one, zero) = (Float(1), Float(0))
        var byteCount = 0
        try library.check(
            functions.cusparseSpMM_bufferSize!(
                library.handle, Self.straight, Self.straight, &one, made.weights, made.input, &zero, made.output,
                Self.computeType, Self.algorithm, &byteCount), "cusparseSpMM_bufferSize")
        workspace = try DeviceBuffer(byteCount: byteCount, in: library.stream.context)
        try library.check(
            functions.cusparseSpMM_preprocess!(
                library.handle, Self.straight, Self.straight, &one, made.weights, made.input, &zero, made.output,
                Self.computeType, Self.algorithm, pointer(workspace)), "cusparseSpMM_preprocess")
        self.library = library
        self.weights = weights
        operands = (input, output)
        descriptors = made
    }

    private static let straight = Int32(FLASH_CUSPARSE_NOT_TRANSPOSED)
    private static let computeType = Int32(FLASH_CUDA_TYPE_F32)
    private static let algorithm = Int32(FLASH_CUSPARSE_ALGORITHM_DEFAULT)

    /// Gives the product to the library's stream.
    /// - Throws: `libraryFailed`, `callFailed`.
    public func enqueue() throws(CUDAError) {
        try library.stream.context.makeCurrent()
        var (one, zero) = (Float(1), Float(0))
        try library.check(
            library.functions.cusparseSpMM!(
                library.handle, Self.straight, Self.straight, &one, descriptors.weights, descriptors.input, &zero,
                descriptors.output, Self.computeType, Self.algorithm,
                UnsafeMutableRawPointer(bitPattern: UInt(workspace.address))), "cusparseSpMM")
    }
}

public import CCUDA
import CUDAEmulator
public import Synchronization

/// cuBLAS and cuSPARSE as their reference describes them, for the emulator's memory, which the host can read: what is
/// asked of them is computed in double precision, one element after the other, columns first.
public enum LibraryFakes {
    /// Handles and descriptions that were made and not yet destroyed.
    public static let live = Mutex(0)

    private static func create(_ handle: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
        live.withLock { $0 += 1 }
        handle!.pointee = OpaquePointer(bitPattern: 1)
        return 0
    }

    private static func destroy() -> Int32 {
        live.withLock { $0 -= 1 }
        return 0
    }

    static func half(_ base: UnsafeRawPointer, _ index: Int) -> Double {
        Double(Float16(bitPattern: base.load(fromByteOffset: 2 * index, as: UInt16.self)))
    }

    /// The stream that products were asked for on last.
    private static let stream = Mutex(UInt(0))

    /// By the driver, which notes that the bytes were written, and looks whether they are memory.
    static func copy<Element>(_ elements: [Element], to place: UnsafeMutableRawPointer) -> CUresult {
        var driver = flash_cuda_driver()
        var nvrtc = flash_nvrtc()
        flash_emulator_tables(&driver, &nvrtc)
        let stream = OpaquePointer(bitPattern: stream.withLock { $0 })
        return elements.withUnsafeBytes { bytes in
            driver.cuMemcpyHtoDAsync_v2!(UInt64(UInt(bitPattern: place)), bytes.baseAddress, bytes.count, stream)
        }
    }

    static func store(_ value: Double, _ base: UnsafeMutableRawPointer, _ index: Int) {
        base.storeBytes(of: Float16(value).bitPattern, toByteOffset: 2 * index, as: UInt16.self)
    }

    public static var cublas: flash_cublas {
        var table = flash_cublas()
        table.cublasCreate_v2 = { LibraryFakes.create($0) }
        table.cublasDestroy_v2 = { _ in LibraryFakes.destroy() }
        table.cublasSetStream_v2 = { _, stream in
            LibraryFakes.stream.withLock { $0 = UInt(bitPattern: stream) }
            return 0
        }
        table.cublasSetWorkspace_v2 = { _, workspace, bytes in workspace != nil && bytes >= 32 << 20 ? 0 : 7 }
        table.cublasGetStatusString = { _ in nil }
        table.cublasGemmEx = {
            _, transposeA, transposeB, m, n, k, alpha, a, aType, aStride, b, bType, bStride, beta, c,
            cType, cStride, compute, _ in
            let isHalf = [aType, bType].allSatisfy { Int($0) == FLASH_CUDA_TYPE_F16 }
            let isFloat = Int(cType) == FLASH_CUDA_TYPE_F32
            guard isHalf, isFloat || Int(cType) == FLASH_CUDA_TYPE_F16, Int(compute) == FLASH_CUBLAS_COMPUTE_F32,
                alpha!.load(as: Float.self) == 1
            else { return 15 }
            let kept = Double(beta!.load(as: Float.self))
            for column in 0..<Int(n) {
                let place = c! + (isFloat ? 4 : 2) * column * Int(cStride)
                let sums = (0..<Int(m)).map { row in
                    var sum = 0.0
                    for depth in 0..<Int(k) {
                        let left = transposeA == 1 ? depth + row * Int(aStride) : row + depth * Int(aStride)
                        let right = transposeB == 1 ? column + depth * Int(bStride) : depth + column * Int(bStride)
                        sum += LibraryFakes.half(a!, left) * LibraryFakes.half(b!, right)
                    }
                    // What is not kept may be anything.
                    guard kept != 0 else { return sum }
                    let before =
                        isFloat ? Double((place + 4 * row).load(as: Float.self)) : LibraryFakes.half(place, row)
                    return sum + kept * before
                }
                let status =
                    isFloat
                    ? LibraryFakes.copy(sums.map { Float($0) }, to: place)
                    : LibraryFakes.copy(sums.map { Float16($0).bitPattern }, to: place)
                guard status == 0 else { return 14 }
            }
            return 0
        }
        return table
    }

    /// A sparse or dense matrix as it was described.
    final class Matrix {
        var sizes: (rows: Int, columns: Int, stride: Int) = (0, 0, 0)
        var values: UnsafeMutableRawPointer?
        var offsets: UnsafeMutableRawPointer?
        var indices: UnsafeMutableRawPointer?

        func retained() -> OpaquePointer {
            LibraryFakes.live.withLock { $0 += 1 }
            return OpaquePointer(Unmanaged.passRetained(self).toOpaque())
        }

        static func at(_ pointer: OpaquePointer?) -> Matrix {
            Unmanaged<Matrix>.fromOpaque(UnsafeRawPointer(pointer!)).takeUnretainedValue()
        }

        static func release(_ pointer: OpaquePointer?) -> Int32 {
            LibraryFakes.live.withLock { $0 -= 1 }
            Unmanaged<Matrix>.fromOpaque(UnsafeRawPointer(pointer!)).release()
            return 0
        }
    }

    public static var cusparse: flash_cusparse {
        var table = flash_cusparse()
        table.cusparseCreate = { LibraryFakes.create($0) }
        table.cusparseDestroy = { _ in LibraryFakes.destroy() }
        table.cusparseSetStream = { _, _ in 0 }
        table.cusparseGetErrorString = { _ in nil }
        table.cusparseCreateCsr = {
            result, rows, columns, _, offsets, indices, values, offsetType, indexType, base, type in
            guard [offsetType, indexType].allSatisfy({ Int($0) == FLASH_CUSPARSE_INDEX_I32 }), base == 0,
                Int(type) == FLASH_CUDA_TYPE_F16
            else { return 3 }
            let matrix = Matrix()
            matrix.sizes = (Int(rows), Int(columns), 0)
            (matrix.offsets, matrix.indices, matrix.values) = (offsets, indices, values)
            result!.pointee = matrix.retained()
            return 0
        }
        table.cusparseDestroySpMat = { Matrix.release($0) }
        table.cusparseCreateDnMat = { result, rows, columns, stride, values, type, order in
            guard Int(type) == FLASH_CUDA_TYPE_F16, Int(order) == FLASH_CUSPARSE_COLUMNS_FIRST else { return 3 }
            let matrix = Matrix()
            matrix.sizes = (Int(rows), Int(columns), Int(stride))
            matrix.values = values
            result!.pointee = matrix.retained()
            return 0
        }
        table.cusparseDestroyDnMat = { Matrix.release($0) }
        table.cusparseSpMM_bufferSize = { _, _, _, _, _, _, _, _, _, _, bytes in
            bytes!.pointee = 100
            return 0
        }
        table.cusparseSpMM_preprocess = { _, _, _, _, _, _, _, _, _, _, _ in 0 }
        table.cusparseSpMM = { _, _, _, _, a, b, _, c, _, _, _ in
            LibraryFakes.multiply(Matrix.at(a), Matrix.at(b), Matrix.at(c))
            return 0
        }
        return table
    }

    private static func multiply(_ a: Matrix, _ b: Matrix, _ c: Matrix) {
        func integer(_ base: UnsafeMutableRawPointer?, _ index: Int) -> Int {
            Int(base!.load(fromByteOffset: 4 * index, as: Int32.self))
        }
        for row in 0..<a.sizes.rows {
            for column in 0..<b.sizes.columns {
                var sum = 0.0
                for index in integer(a.offsets, row)..<integer(a.offsets, row + 1) {
                    let place = integer(a.indices, index) + column * b.sizes.stride
                    sum += half(a.values!, index) * half(b.values!, place)
                }
                LibraryFakes.store(sum, c.values!, row + column * c.sizes.stride)
            }
        }
    }
}

import CCUDA
import CUDA
import CUDAKernels
import GPUCases
import Tensors
import Testing

/// What kernels are compared with: cuBLAS and cuSPARSE, where they are not there and behind tables of our own.
@Suite(.serialized) struct LibraryTests {
    private static let (rows, columns, tokens) = (128, 72, 5)

    private static var elements: Storage<UInt16> {
        Storage(
            (0..<rows * columns).map { index in
                index % 3 == 0 ? Float16(Float(index % 17) / 8 - 1).bitPattern : 0
            })
    }

    private static var input: [UInt16] {
        (0..<tokens * columns).map { Float16(Float($0 % 13) / 8 - 0.75).bitPattern }
    }

    /// Our dense kernel's result, and what else multiplies the same matrix.
    private func compare(
        _ other: (DeviceMatrix, _ input: DeviceBuffer, _ output: DeviceBuffer, TestedGPU) throws -> Void
    ) throws {
        try TestedGPU.run { gpu in
            let weights = try DeviceMatrix(
                denseRows: Self.rows, columns: Self.columns, elements: Self.elements, valueType: .f16, on: gpu.stream
            ).stacked(2, on: gpu.stream)
            let input = try DeviceBuffer(Self.input, on: gpu.stream)
            let count = Self.tokens * 2 * Self.rows
            let outputs = try (0..<2).map { _ in try DeviceBuffer(byteCount: count * 2, in: gpu.stream.context) }
            try gpu.products.enqueue(
                weights, operands(input, outputs[0]), workspace: gpu.workspace, on: gpu.stream)
            try other(weights, input, outputs[1], gpu)
            let results = try outputs.map { try $0.read(UInt16.self, count: count, on: gpu.stream) }
            // Sums of eighths are exact.
            #expect(results[0] == results[1])
            #expect(results[0].contains { $0 & 0x7FFF != 0 })
            #expect(LibraryFakes.live.withLock { $0 } == 0)
        }
    }

    private func operands(_ input: DeviceBuffer, _ output: DeviceBuffer) -> ProductOperands {
        ProductOperands(
            input: input.address, inputStride: Self.columns, output: output.address, outputStride: 2 * Self.rows,
            outputType: .sixteenBit, tokens: Self.tokens)
    }

    @Test func denseProductsAreAskedForRight() throws {
        try compare { weights, input, output, gpu in
            try CUBLAS(table: LibraryFakes.cublas, on: gpu.stream).enqueue(weights, operands(input, output))
        }
    }

    @Test func sparseProductsAreAskedForRight() throws {
        try compare { _, input, output, gpu in
            let weights = try DeviceCSR(
                rows: Self.rows, columns: Self.columns, elements: Self.elements, repetitions: 2,
                pool: WorkerPool(threadCount: 2), on: gpu.stream)
            let library = try CUSPARSE(table: LibraryFakes.cusparse, on: gpu.stream)
            let product = try SparseLibraryProduct(
                library, weights.copy(on: gpu.stream), input: input, output: output, tokens: Self.tokens)
            try product.enqueue()
        }
    }

    /// Of a function that fails the error has the library's and the function's name; nothing is left behind.
    @Test func failuresAreSentences() throws {
        try TestedGPU.run { gpu in
            var cublas = LibraryFakes.cublas
            cublas.cublasSetWorkspace_v2 = { _, _, _ in 7 }
            let dense = #expect(throws: CUDAError.self) { try CUBLAS(table: cublas, on: gpu.stream) }
            #expect(dense?.description == "cuBLAS's cublasSetWorkspace failed with code 7: no reason given")
            var cusparse = LibraryFakes.cusparse
            cusparse.cusparseSetStream = { _, _ in 6 }
            let sparse = #expect(throws: CUDAError.self) { try CUSPARSE(table: cusparse, on: gpu.stream) }
            #expect(sparse?.description == "cuSPARSE's cusparseSetStream failed with code 6: no reason given")
            // Tests that use the emulator, and so these, run one after the other.
            #expect(LibraryFakes.live.withLock { $0 } == 0)
        }
    }

    @Test func saysThatLibrariesAreMissing() throws {
        try TestedGPU.run { gpu in
            let path = "/nowhere/library.so"
            let dense = #expect(throws: CUDAError.self) { try CUBLAS.load(path: path, on: gpu.stream) }
            #expect(dense?.description.hasPrefix("libcublas.so could not be loaded (/nowhere/library.so: ") == true)
            let sparse = #expect(throws: CUDAError.self) { try CUSPARSE.load(path: path, on: gpu.stream) }
            #expect(sparse?.description.hasPrefix("libcusparse.so could not be loaded (/nowhere/library.so: ") == true)
        }
    }
}

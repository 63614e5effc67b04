import CUDA
import CUDAKernels
import Foundation
import GPUCases
import Sparse
import Tensors
import Testing

/// Shared libraries with somebody's kernels: here with loops of C over the emulator's memory, which the host can read.
@Suite struct PeerTests {
    private static let (rows, columns, tokens) = (256, 64, 8)

    /// Builds a library from C or C++ text in a folder of its own.
    private func library(_ source: String, language: String = "c") throws -> String {
        let folder = FileManager.default.temporaryDirectory.appending(path: "peer-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
        let file = "\(folder)/peer.\(language)"
        try Data(source.utf8).write(to: URL(filePath: file))
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "clang", "-shared", "-fPIC", "-O1", "-I\(root)/Sources/CCUDA/include", file, "-o", "\(folder)/peer.so",
        ]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return "\(folder)/peer.so"
    }

    /// Whether the peer's result is that of our dense kernel; nil if it does not take so many tokens.
    private func isRight(_ peer: Peer, tokens: Int = tokens) throws -> Bool? {
        try TestedGPU.run { gpu in
            let elements = Storage(
                (0..<Self.rows * Self.columns).map { index in
                    index % 3 == 0 ? Float16(Float(index % 17) / 8 - 1).bitPattern : 0
                })
            let pool = WorkerPool(threadCount: 2)
            let stream = gpu.stream
            let dense = try DeviceMatrix(
                denseRows: Self.rows, columns: Self.columns, elements: elements, valueType: .f16, on: stream)
            let compressed = try DeviceCSR(
                rows: Self.rows, columns: Self.columns, elements: elements, repetitions: 1, pool: pool, on: stream)
            let tiledCSL = try DeviceMatrix(
                TiledCSL(rows: Self.rows, columns: Self.columns, elements: elements, valueType: .f16), on: stream)
            let matrix = try PeerMatrix(
                Peer.Matrix(dense: dense, rows: compressed, tiledCSL: tiledCSL), for: peer, on: stream)
            #expect(matrix.storedByteCount > 0)
            let input = try DeviceBuffer(
                (0..<tokens * Self.columns).map { Float16(Float($0 % 13) / 8 - 0.75).bitPattern }, on: stream)
            let count = tokens * Self.rows
            let outputs = try (0..<2).map { _ in try DeviceBuffer(byteCount: count * 2, in: stream.context) }
            try gpu.products.enqueue(
                dense,
                ProductOperands(
                    input: input.address, inputStride: Self.columns, output: outputs[0].address,
                    outputStride: Self.rows, outputType: .sixteenBit, tokens: tokens),
                workspace: gpu.workspace, on: stream)
            guard try matrix.enqueue(input: input, output: outputs[1], tokens: tokens) else { return nil }
            let results = try outputs.map { try $0.read(UInt16.self, count: count, on: stream) }
            return results[0] == results[1]
        }
    }

    /// Reads compressed rows, and takes at most eight tokens.
    private static let compressedRows = """
        #include <stdlib.h>
        #include "flash_llm_peer.h"
        int flash_llm_peer_prepare(const struct flash_llm_peer_matrix *matrix, void **handle, size_t *stored_bytes) {
            if (matrix->version != FLASH_LLM_PEER_VERSION) return 2;
            struct flash_llm_peer_matrix *copy = malloc(sizeof *copy);
            *copy = *matrix;
            *handle = copy;
            *stored_bytes = 6 * (size_t)matrix->nonzeros;
            return 0;
        }
        int flash_llm_peer_multiply(void *handle, const void *input, void *output, int tokens, void *stream) {
            const struct flash_llm_peer_matrix *matrix = handle;
            if (tokens > 8) return FLASH_LLM_PEER_UNSUPPORTED;
            for (int t = 0; t < tokens; t++) {
                for (int r = 0; r < matrix->rows; r++) {
                    float sum = 0;
                    for (int i = matrix->row_offsets[r]; i < matrix->row_offsets[r + 1]; i++) {
                        sum += (float)((const _Float16 *)matrix->values)[i]
                            * (float)((const _Float16 *)input)[t * matrix->columns + matrix->column_indices[i]];
                    }
                    ((_Float16 *)output)[t * matrix->rows + r] = (_Float16)sum;
                }
            }
            return 0;
        }
        void flash_llm_peer_release(void *handle) { free(handle); }
        """

    @Test func measuresALibraryWithOurFunctions() throws {
        let peer = try Peer(name: "rows", path: library(Self.compressedRows))
        #expect(try isRight(peer) == true)
        #expect(try isRight(peer, tokens: 9) == nil)
    }

    /// The released Flash-LLM declares its product as C++.
    @Test func measuresTheReleasedFlashLLM() throws {
        let source = """
            struct CUstream_st; struct __half { _Float16 value; }; struct uint4 { unsigned words[4]; };
            int SpMM_SplitK_API(CUstream_st *, const __half *A, const uint4 *compressed, const int *offsets,
                                const __half *B, __half *C, const int m, const int n, const int k, __half *workspace,
                                int split) {
                if (A || (split > 1 && !workspace)) return 1;
                for (int t = 0; t < n; t++) {
                    for (int r = 0; r < m; r++) C[t * m + r].value = 0;
                    for (int tile = 0; tile < m / 128 * (k / 64); tile++) {
                        for (int v = offsets[tile]; v < offsets[tile + 1]; v++) {
                            for (int i = 0; i < 4; i++) {
                                unsigned word = compressed[v].words[i], place = word >> 16;
                                unsigned short bits = word;
                                _Float16 weight = *(_Float16 *)&bits;
                                int row = place / 64, column = (place % 64) ^ (row % 8 << 3);
                                int r = tile / (k / 64) * 128 + row, c = tile % (k / 64) * 64 + column;
                                C[t * m + r].value += (float)weight * (float)B[t * k + c].value;
                            }
                        }
                    }
                }
                return 0;
            }
            """
        let peer = try Peer(name: "flash-llm", path: library(source, language: "cpp"))
        #expect(try isRight(peer) == true)
        #expect(try isRight(peer, tokens: 7) == nil)
    }

    @Test func failuresAreSentences() throws {
        let missing = #expect(throws: CUDAError.self) { try Peer(name: "none", path: "/nowhere/peer.so") }
        #expect(missing?.description.hasPrefix("the peer could not be loaded (/nowhere/peer.so: ") == true)
        let other = #expect(throws: CUDAError.self) { try Peer(name: "other", path: "libc.so.6") }
        #expect(other?.description.contains("libc.so.6 has neither the functions of flash_llm_peer.h nor") == true)
        let failing = try Peer(
            name: "failing", path: library(Self.compressedRows.replacing("!= FLASH_LLM_PEER_VERSION", with: "> 0")))
        let error = #expect(throws: TestedGPU.Failure.self) { try isRight(failing) }
        #expect(error?.description.hasPrefix("failing's flash_llm_peer_prepare failed with code 2") == true)
    }
}

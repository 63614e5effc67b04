import CCUDA
public import CUDA

/// Somebody else's kernels, in a shared library (docs/peers.md).
///
/// Safety: the table never changes; what a library does with calls from several threads is its own matter, and one
/// stream's user makes them one after the other.
public final class Peer: @unchecked Sendable {
    public let name: String
    fileprivate let functions: flash_peer

    /// Loads the library at `path`.
    /// - Throws: `noLibrary`.
    public init(name: String, path: String) throws(CUDAError) {
        var table = flash_peer()
        if let reason = flash_peer_load(&table, path) { throw .noLibrary(reason: String(cString: reason)) }
        self.name = name
        functions = table
    }

    /// What such a library reads. Forms that it does not need may be missing only if it is the released Flash-LLM.
    public struct Matrix {
        public var dense: DeviceMatrix
        public var rows: DeviceCSR
        public var tiledCSL: DeviceMatrix

        public init(dense: DeviceMatrix, rows: DeviceCSR, tiledCSL: DeviceMatrix) {
            self.dense = dense
            self.rows = rows
            self.tiledCSL = tiledCSL
        }
    }

    fileprivate func check(_ result: Int32, _ call: String) throws(CUDAError) {
        guard result != 0 else { return }
        throw .libraryFailed(library: name, call: call, code: Int(result), text: "the peer gives no reason")
    }
}

/// A matrix as a peer keeps it.
public final class PeerMatrix {
    /// What one product reads of the weights.
    public let storedByteCount: Int
    private let peer: Peer
    private let stream: Stream
    private let content: Content

    private enum Content {
        /// The peer's own handle.
        case own(UnsafeMutableRawPointer?)
        /// The released Flash-LLM reads our Tiled-CSL.
        case tiledCSL(DeviceMatrix, SplitK)
    }

    /// The memory in which the released kernel adds up slices, and how many it is to cut the columns into.
    private final class SplitK {
        var workspace: DeviceBuffer
        /// By the number of tokens.
        var slices: [Int: Int] = [:]

        init(_ workspace: DeviceBuffer) { self.workspace = workspace }
    }

    /// - Throws: `libraryFailed`, `CUDAError` of the driver.
    public init(_ matrix: Peer.Matrix, for peer: Peer, on stream: Stream) throws(CUDAError) {
        self.peer = peer
        self.stream = stream
        try stream.context.makeCurrent()
        guard let prepare = peer.functions.prepare else {
            content = .tiledCSL(matrix.tiledCSL, SplitK(try DeviceBuffer(byteCount: 0, in: stream.context)))
            storedByteCount = matrix.tiledCSL.storedByteCount
            return
        }
        func pointer(_ buffer: DeviceBuffer) -> UnsafeRawPointer? {
            UnsafeRawPointer(bitPattern: UInt(buffer.address))
        }
        var description = flash_llm_peer_matrix()
        description.version = Int32(FLASH_LLM_PEER_VERSION)
        description.rows = Int32(matrix.dense.rows)
        description.columns = Int32(matrix.dense.columns)
        description.nonzeros = Int32(matrix.rows.nonzeroCount)
        description.dense = pointer(matrix.dense.arrays[0])
        description.row_offsets = pointer(matrix.rows.rowOffsets)?.assumingMemoryBound(to: Int32.self)
        description.column_indices = pointer(matrix.rows.columnIndices)?.assumingMemoryBound(to: Int32.self)
        description.values = pointer(matrix.rows.values)
        description.tiled_csl = pointer(matrix.tiledCSL.arrays[0])
        description.tile_offsets = pointer(matrix.tiledCSL.arrays[1])?.assumingMemoryBound(to: Int32.self)
        var handle: UnsafeMutableRawPointer?
        var byteCount = 0
        try peer.check(prepare(&description, &handle, &byteCount), "flash_llm_peer_prepare")
        content = .own(handle)
        storedByteCount = byteCount
    }

    deinit {
        guard case .own(let handle) = content, (try? stream.context.makeCurrent()) != nil else { return }
        peer.functions.release!(handle)
    }

    /// Gives the product to the stream.
    /// - Parameters:
    ///   - input: f16 `[tokens, columns]`.
    ///   - output: f16 `[tokens, rows]`.
    /// - Returns: false if the peer does not take this number of tokens.
    /// - Throws: `libraryFailed`, `callFailed`.
    public func enqueue(input: DeviceBuffer, output: DeviceBuffer, tokens: Int) throws(CUDAError) -> Bool {
        try stream.context.makeCurrent()
        switch content {
        case .own(let handle):
            let result = peer.functions.multiply!(
                handle, UnsafeRawPointer(bitPattern: UInt(input.address)),
                UnsafeMutableRawPointer(bitPattern: UInt(output.address)), Int32(tokens),
                UnsafeMutableRawPointer(stream.pointer))
            if Int(result) == FLASH_LLM_PEER_UNSUPPORTED { return false }
            try peer.check(result, "flash_llm_peer_multiply")
            return true
        case .tiledCSL(let weights, let splitK):
            guard Self.isSupported(weights, tokens: tokens) else { return false }
            let slices = try slices(splitK, weights, input, output, tokens)
            try multiply(weights, splitK, input, output, tokens: tokens, slices: slices)
            return true
        }
    }

    // ---- The released Flash-LLM ----

    /// Source: SpMM_API.cu: tiles of 256 rows up to 32 tokens, 64 columns; cases for so many tokens.
    private static func isSupported(_ weights: DeviceMatrix, tokens: Int) -> Bool {
        weights.rows % 256 == 0 && weights.columns % 64 == 0
            && ([8, 16, 32, 64].contains(tokens) || tokens % 128 == 0)
    }

    /// The fastest number of slices, found by trying: the release's own benchmark reads it from a table
    /// for its shapes and GPU.
    private func slices(
        _ splitK: SplitK, _ weights: DeviceMatrix, _ input: DeviceBuffer, _ output: DeviceBuffer, _ tokens: Int
    ) throws(CUDAError) -> Int {
        if let known = splitK.slices[tokens] { return known }
        var best = (slices: 1, milliseconds: Double.infinity)
        let tiles = weights.columns / 64
        // A slice has so many tiles, rounded up. Where the last one would begin behind the last tile, the release reads
        // what is not there, and is wrong.
        for slices in 1...Self.maximumSlices where (slices - 1) * ((tiles + slices - 1) / slices) < tiles {
            // The first launch loads the kernel, and may have to make room.
            try multiply(weights, splitK, input, output, tokens: tokens, slices: slices)
            let (start, end) = (try Event(in: stream.context), try Event(in: stream.context))
            try start.record(on: stream)
            for _ in 0..<3 { try multiply(weights, splitK, input, output, tokens: tokens, slices: slices) }
            try end.record(on: stream)
            try end.synchronize()
            let milliseconds = try end.milliseconds(since: start)
            if milliseconds < best.milliseconds { best = (slices, milliseconds) }
        }
        splitK.slices[tokens] = best.slices
        return best.slices
    }

    /// As many as are worth trying: each is written and read once more.
    private static let maximumSlices = 9

    private func multiply(
        _ weights: DeviceMatrix, _ splitK: SplitK, _ input: DeviceBuffer, _ output: DeviceBuffer, tokens: Int,
        slices: Int
    ) throws(CUDAError) {
        let byteCount = slices > 1 ? slices * tokens * weights.rows * 2 : 0
        if splitK.workspace.byteCount < byteCount {
            splitK.workspace = try DeviceBuffer(byteCount: byteCount, in: stream.context)
        }
        try stream.context.makeCurrent()
        func pointer(_ buffer: DeviceBuffer) -> UnsafeMutableRawPointer? {
            UnsafeMutableRawPointer(bitPattern: UInt(buffer.address))
        }
        let result = peer.functions.split_k!(
            UnsafeMutableRawPointer(stream.pointer), nil, pointer(weights.arrays[0]),
            pointer(weights.arrays[1])?.assumingMemoryBound(to: Int32.self), pointer(input), pointer(output),
            Int32(weights.rows), Int32(tokens), Int32(weights.columns), pointer(splitK.workspace), Int32(slices))
        try peer.check(result, "SpMM_SplitK_API")
    }
}

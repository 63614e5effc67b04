import CUDA
import CUDAKernels

/// Activations and results of products with some number of tokens, in the GPU's memory.
struct TimedOperands {
    let tokens: Int
    /// f16 `[tokens, columns]`.
    let input: DeviceBuffer
    /// f16 `[tokens, rows]`; every product overwrites it.
    let output: DeviceBuffer
}

/// One way to multiply that is measured: copies of a matrix, which are walked over in turn so that weights come from
/// memory and not from the second-level cache.
protocol TimedProduct: AnyObject {
    var name: String { get }
    /// Whether zeros are stored, too.
    var isDense: Bool { get }
    /// Of one copy: what a product reads of the weights.
    var storedByteCount: Int { get }
    var copyCount: Int { get }
    /// How far its results may be off, in units of what ``OutputCheck`` allows.
    var errorLimit: Double { get }

    /// Gives the product with one of the copies to the stream; false if it does not take this number of tokens.
    func enqueue(copy: Int, _ operands: TimedOperands) throws(CUDAError) -> Bool
}

/// One of our layouts.
final class OwnProduct: TimedProduct {
    let name: String
    let isDense: Bool
    let copies: [DeviceMatrix]
    private let gpu: BenchmarkGPU
    private let spread: ProductSpread

    init(_ copies: [DeviceMatrix], spread: ProductSpread, on gpu: BenchmarkGPU) {
        name = copies[0].layout.rawValue
        isDense = copies[0].layout == .dense
        self.copies = copies
        self.spread = spread
        self.gpu = gpu
    }

    var storedByteCount: Int { copies[0].storedByteCount }
    var copyCount: Int { copies.count }
    var errorLimit: Double { 1 }

    func enqueue(copy: Int, _ operands: TimedOperands) throws(CUDAError) -> Bool {
        try gpu.products.enqueue(
            copies[copy], Self.operands(copies[copy], operands), workspace: gpu.workspace, spread: spread,
            on: gpu.stream)
        return true
    }

    static func operands(_ matrix: DeviceMatrix, _ operands: TimedOperands) -> ProductOperands {
        ProductOperands(
            input: operands.input.address, inputStride: matrix.columns, output: operands.output.address,
            outputStride: matrix.rows, outputType: .sixteenBit, tokens: operands.tokens)
    }
}

/// One of our layouts expanded to memory, and multiplied by cuBLAS: from how many tokens on does it pay?
final class ExpandedProduct: TimedProduct {
    let name: String
    let isDense = false
    private let copies: [DeviceMatrix]
    private let products: LongProducts
    private let workspace: ProductWorkspace
    /// Fewer tokens are never faster.
    private static let leastTokens = 64

    init(_ copies: [DeviceMatrix], _ cublas: CUBLAS, on gpu: BenchmarkGPU) throws(CUDAError) {
        name = "expanded-" + copies[0].layout.rawValue
        self.copies = copies
        products = try LongProducts(
            gpu.products, cublas: { _ in cublas }, on: gpu.stream, leastTokens: Self.leastTokens)
        workspace = gpu.workspace
    }

    var storedByteCount: Int { copies[0].storedByteCount }
    var copyCount: Int { copies.count }
    var errorLimit: Double { 1 }

    func enqueue(copy: Int, _ operands: TimedOperands) throws(CUDAError) -> Bool {
        guard operands.tokens >= Self.leastTokens else { return false }
        try products.enqueue(copies[copy], OwnProduct.operands(copies[copy], operands), workspace: workspace)
        return true
    }
}

/// cuBLAS with the same dense matrices as our dense layout.
final class CUBLASProduct: TimedProduct {
    let name = GPUProductMeasurement.baseline
    let isDense = true
    private let copies: [DeviceMatrix]
    private let cublas: CUBLAS

    init(_ copies: [DeviceMatrix], _ cublas: CUBLAS) {
        self.copies = copies
        self.cublas = cublas
    }

    var storedByteCount: Int { copies[0].storedByteCount }
    var copyCount: Int { copies.count }
    var errorLimit: Double { 1 }

    func enqueue(copy: Int, _ operands: TimedOperands) throws(CUDAError) -> Bool {
        try cublas.enqueue(copies[copy], OwnProduct.operands(copies[copy], operands))
        return true
    }
}

/// cuSPARSE with compressed rows. What it finds out about a matrix beforehand is kept for each number of tokens.
final class CUSPARSEProduct: TimedProduct {
    let name = "cusparse"
    let isDense = false
    private let copies: [DeviceCSR]
    private let cusparse: CUSPARSE
    private var prepared: [Int: [SparseLibraryProduct]] = [:]

    init(_ copies: [DeviceCSR], _ cusparse: CUSPARSE) {
        self.copies = copies
        self.cusparse = cusparse
    }

    var storedByteCount: Int { copies[0].storedByteCount }
    var copyCount: Int { copies.count }
    /// With several tokens it keeps sums in f16: at 28,672 columns errors of 16 were seen.
    var errorLimit: Double { 24 }

    func enqueue(copy: Int, _ operands: TimedOperands) throws(CUDAError) -> Bool {
        if prepared[operands.tokens] == nil {
            prepared[operands.tokens] = try copies.map { (weights) throws(CUDAError) in
                try SparseLibraryProduct(
                    cusparse, weights, input: operands.input, output: operands.output, tokens: operands.tokens)
            }
        }
        try prepared[operands.tokens]![copy].enqueue()
        return true
    }
}

/// Somebody else's kernels.
final class PeerProduct: TimedProduct {
    let name: String
    let isDense = false
    private let copies: [PeerMatrix]

    init(_ name: String, _ copies: [PeerMatrix]) {
        self.name = name
        self.copies = copies
    }

    var storedByteCount: Int { copies[0].storedByteCount }
    var copyCount: Int { copies.count }
    /// Some add up slices in f16: several roundings where ours have one.
    var errorLimit: Double { 8 }

    func enqueue(copy: Int, _ operands: TimedOperands) throws(CUDAError) -> Bool {
        try copies[copy].enqueue(input: operands.input, output: operands.output, tokens: operands.tokens)
    }
}

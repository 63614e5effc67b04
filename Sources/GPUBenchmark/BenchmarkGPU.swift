public import CUDA
public import CUDAKernels

/// The GPU that is measured, our kernels on it, and what they are compared with.
public struct BenchmarkGPU {
    public let stream: CUDA.Stream
    public let library: KernelLibrary
    /// Nil where it was not asked for or is not there; then our dense kernel takes its place.
    public var cublas: CUBLAS?
    public var cusparse: CUSPARSE?
    public var peers: [Peer] = []

    let products: Products
    let workspace: ProductWorkspace

    /// - Throws: `CUDAError`.
    public init(_ library: KernelLibrary) throws(CUDAError) {
        self.library = library
        stream = try CUDA.Stream(in: library.context)
        products = Products(library)
        workspace = try ProductWorkspace(on: stream)
    }

    public var device: Device { library.context.device }
}

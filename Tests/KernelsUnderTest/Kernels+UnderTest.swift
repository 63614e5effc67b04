import EmulatedKernels
public import Sparse

extension Kernels {
    /// What every test of kernels runs on: the instruction sets that this processor has, and AVX-512 on any.
    public static let underTest =
        available + [Kernels(table: emulated_avx512_kernels())]
}

/// How kernels are compiled.
public struct KernelOptions: Sendable {
    /// Macros and their values, in the order in which they are defined.
    public var defines: [(name: String, value: String)] = []
    /// Lets profilers show lines of source; the code stays the same.
    public var lineInformation = false
    /// Makes the compiler's log say what registers and memory each kernel takes (``KernelResources``).
    public var reportsResources = false
    /// Instructions that only this very architecture has ("sm_90a": Hopper's warpgroups and tensor copies).
    public var isArchitectureSpecific = false

    public init() {}

    /// "sm_90", or "sm_90a".
    func architecture(_ capability: Capability) -> String {
        capability.architecture + (isArchitectureSpecific ? "a" : "")
    }

    /// As NVRTC takes them.
    func arguments(for capability: Capability, compiler: CUDAVersion) -> [String] {
        var arguments = ["--gpu-architecture=\(architecture(capability))", "-std=c++17"]
        // Leaves out what kernels without includes do not need: a third of the time. CUDA 12.0 does not know it.
        if compiler.major >= 13 { arguments.append("--minimal") }
        if lineInformation { arguments.append("-lineinfo") }
        if reportsResources { arguments.append("--ptxas-options=-v") }
        return arguments + defines.map { "-D\($0.name)=\($0.value)" }
    }
}

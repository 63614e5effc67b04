import Sparse

/// A machine of round numbers: memory of 10 bytes a nanosecond, kernels of given speeds.
struct MadeUpProfile {
    var bytesPerSecond = 1e10
    var densities = [0.1, 0.5, 1]
    var tokens = [1, 4, 16]
    /// Elements a nanosecond, by kind, density and tokens. By default nothing ever waits for arithmetic.
    var speed: (ProductKind, Double, Int) -> Double = { _, _, _ in 1e3 }

    func profile() throws -> MachineProfile {
        try MachineProfile(
            machine: .init(processor: "Abacus 9", instructionSet: "beads", threads: 3),
            bytesPerSecond: bytesPerSecond,
            kernels: ProductKind.all.map { kind in
                let densities = kind.format == .dense ? [1] : densities
                return try KernelSpeed(
                    kind: kind, densities: densities, tokens: tokens,
                    weightsPerSecond: densities.map { density in tokens.map { 1e9 * speed(kind, density, $0) } })
            })
    }

    func model(tokens: [Int] = [1]) throws -> CostModel { CostModel(profile: try profile(), tokenCounts: tokens) }
}

import ArgumentParser
import CUDAKernels

/// What `bench spmm` takes for a GPU only.
struct GPUProductOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where to multiply: cpu, cuda, or cuda:1 for the second GPU.", valueName: "device"))
    var device: ProductDevice = .cpu

    @Option(
        help: ArgumentHelp(
            "Measure the kernels of a shared library, too (docs/peers.md); may be given several times.",
            valueName: "name=file"))
    var peer: [PeerOption] = []

    @Option(
        help: ArgumentHelp("Spread products over so many blocks. (default: as they choose)", valueName: "n"))
    var blocks: Int?

    @Option(
        help: ArgumentHelp(
            "Let a block's warps cut the columns into 1, 2 or 4 slices. (default: as products choose)", valueName: "n"))
    var slices: Int?

    @Flag(help: "On a GPU: fewer and shorter rounds, and fewer settings, unless they are given.")
    var quick = false

    @Option(help: ArgumentHelp("On a GPU: begin no matrix after so many seconds.", valueName: "seconds"))
    var timeLimit: Double?

    @Option(
        help: ArgumentHelp("On a GPU: seconds of one measurement. (default: 0.002)", valueName: "seconds"))
    var sampleSeconds: Double?

    @Option(help: ArgumentHelp("Bytes that the copies of a matrix take at least.", visibility: .hidden))
    var workingSetBytes: Int?

    @Option(help: ArgumentHelp("Bytes that are read to measure bandwidth.", visibility: .hidden))
    var bandwidthBytes: Int?

    func validate() throws {
        for (name, value) in [("working-set-bytes", workingSetBytes), ("bandwidth-bytes", bandwidthBytes)] {
            if let value, !(1...1 << 40).contains(value) {
                throw ValidationError("--\(name) must be in 1...2^40, found \(value)")
            }
        }
        if let blocks, !(1...Products.maximumBlocks).contains(blocks) {
            throw ValidationError("--blocks must be in 1...\(Products.maximumBlocks), found \(blocks)")
        }
        if let slices, ![1, 2, 4].contains(slices) {
            throw ValidationError("--slices must be 1, 2 or 4, found \(slices)")
        }
        for (name, value) in [("time-limit", timeLimit), ("sample-seconds", sampleSeconds)] {
            if let value, !(value > 0 && value <= 86_400) {
                throw ValidationError("--\(name) must be more than 0 and at most 86400, found \(value)")
            }
        }
        if device == .cpu {
            let given: [(name: String, isGiven: Bool)] = [
                ("peer", !peer.isEmpty), ("blocks", blocks != nil), ("slices", slices != nil), ("quick", quick),
                ("time-limit", timeLimit != nil), ("sample-seconds", sampleSeconds != nil),
            ]
            if let first = given.first(where: \.isGiven) {
                throw ValidationError("--\(first.name) is for GPUs: add --device cuda")
            }
        }
        let names = peer.map(\.name)
        let taken = GPUProductRun.formatNames
        if let name = names.first(where: { taken.contains($0) }) {
            throw ValidationError("--peer cannot be called '\(name)': that is the name of a format")
        }
        if Set(names).count < names.count { throw ValidationError("two peers have the same name") }
    }
}

/// Where products are measured.
enum ProductDevice: ExpressibleByArgument, Equatable {
    case cpu
    case cuda(ordinal: Int)

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        switch (parts.first, parts.count) {
        case ("cpu", 1): self = .cpu
        case ("cuda", 1): self = .cuda(ordinal: 0)
        case ("cuda", 2):
            guard let ordinal = Int(parts[1]), (0..<1_024).contains(ordinal) else { return nil }
            self = .cuda(ordinal: ordinal)
        default: return nil
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .cpu: "cpu"
        case .cuda(let ordinal): "cuda:\(ordinal)"
        }
    }
}

/// "sputnik=/path/libsputnik_peer.so"
struct PeerOption: ExpressibleByArgument {
    let name: String
    let path: String

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "=") else { return nil }
        name = String(argument[..<equals])
        path = String(argument[argument.index(after: equals)...])
        if name.isEmpty || path.isEmpty { return nil }
    }
}

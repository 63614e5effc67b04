extension DeviceLayout {
    /// The layout for a matrix of which `zeros`, a share, are zeros: the one place where it is chosen.
    ///
    /// Measured on an H100 (docs/benchmarks/gpu.md): a bitmap is the fastest of all up to two thirds of zeros, a lane
    /// stream from there on. With few zeros decoding costs more than the bytes that it saves.
    public static func choose(zeros: Double) -> DeviceLayout {
        if zeros < 0.3 { return .dense }
        return zeros < 0.67 ? .bitmap : .laneStream
    }
}

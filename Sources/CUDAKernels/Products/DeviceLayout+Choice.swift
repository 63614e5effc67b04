extension DeviceLayout {
    /// The layout for a matrix of which `zeros`, a share, are zeros: the one place where it is chosen.
    ///
    /// Measured on an H100 (docs/benchmarks/gpu.md): a lane bitmap is the fastest of all up to 70 % of zeros, a lane
    /// stream from a few more on. With few zeros decoding costs more than the bytes that it saves.
    public static func choose(zeros: Double) -> DeviceLayout {
        if zeros < 0.2 { return .dense }
        return zeros < 0.72 ? .laneBitmap : .laneStream
    }
}

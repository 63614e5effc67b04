extension DeviceLayout {
    /// The layout for a matrix of which `zeros`, a share, are zeros: the one place where it is chosen.
    ///
    /// Measured on an H100 (docs/benchmarks/gpu.md): a lane bitmap is the fastest of all up to three quarters of zeros,
    /// a lane stream from there on. With few zeros decoding costs more than the bytes that it saves.
    public static func choose(zeros: Double) -> DeviceLayout {
        if zeros < 0.2 { return .dense }
        return zeros < 0.75 ? .laneBitmap : .laneStream
    }
}

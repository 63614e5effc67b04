extension DeviceLayout {
    /// The layout for a matrix of which `zeros`, a share, are zeros: the one place where it is chosen.
    ///
    /// Below 35 % a bitmap saves less than a third of the bytes and costs decoding; from 65 % on a gap stream is
    /// smaller than a bitmap. Both limits follow from bytes and counted instructions and await measurement on a GPU.
    public static func choose(zeros: Double) -> DeviceLayout {
        if zeros < 0.35 { return .dense }
        return zeros < 0.65 ? .bitmap : .gapStream
    }

    /// Strips of 64 columns in a segment of a gap stream: half a group of entries is lost with each segment, 2 % of it
    /// at 80 % zeros. Awaits measurement, too.
    static let segmentStrips = 16
}

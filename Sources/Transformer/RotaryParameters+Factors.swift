extension RotaryParameters {
    /// What each frequency is divided by where single ones are stretched, as GGUF's `rope_freqs.weight` says it; nil
    /// where they are not.
    public func frequencyFactors(headSize: Int) -> [Float]? {
        guard case .llama3 = scaling else { return nil }
        let plain = RotaryParameters(base: base, scaling: .none).frequencies(headSize: headSize)
        return zip(plain, frequencies(headSize: headSize)).map { Float($0 / $1) }
    }
}

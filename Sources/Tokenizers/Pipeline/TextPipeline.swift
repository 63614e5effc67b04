/// What happens to a text before the model sees its pieces, and to tokens when they become text again.
struct TextPipeline: Sendable {
    var normalizers: [NormalizerStep] = []
    var preTokenizers: [PreTokenizerStep] = []
    /// Of vocabularies that are not byte-level.
    var decoders: [DecoderStep] = []

    /// The normalised text, and whether its first character is still the text's.
    func normalized(_ text: [UInt8]) -> (bytes: [UInt8], keepsStart: Bool) {
        var bytes = text
        // Of one character others may be left when the first of its parts is gone.
        var startCount = 1
        for step in normalizers {
            bytes.withUnsafeBufferPointer { buffer in
                if startCount > 0, !buffer.isEmpty { startCount = step.startCount(startCount, of: buffer) }
            }
            if let changed = bytes.withUnsafeBufferPointer({ step.apply(to: $0) }) { bytes = changed }
        }
        return (bytes, startCount > 0)
    }
}

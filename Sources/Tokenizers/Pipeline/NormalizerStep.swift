/// One step of what happens to a text before it is cut into pieces.
enum NormalizerStep: Sendable {
    case form(UnicodeForm)
    case lowercase
    /// Marks are left out.
    case stripAccents
    case replace(Pattern, with: [UInt8])
    /// Put before a text that is not empty.
    case prepend([UInt8])
    case strip(left: Bool, right: Bool)
    case characterMap(CharacterMap)

    /// The changed text; nil if it stays as it is.
    func apply(to text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        switch self {
        case .form(let form): return form.apply(to: text)
        case .lowercase: return NormalizerStep.lowercased(text)
        case .stripAccents: return NormalizerStep.withoutMarks(text)
        case .replace(let pattern, let content): return pattern.replacing(in: text, with: content)
        case .prepend(let prefix): return text.isEmpty ? nil : prefix + text
        case .strip(let left, let right):
            var start = 0
            var end = text.count
            while left, start < end {
                let (value, length) = text.scalar(at: start)
                guard PreTokenizerStep.isSpace(value) else { break }
                start += length
            }
            while right, start < end {
                let (value, length) = text.scalar(before: end)
                guard PreTokenizerStep.isSpace(value) else { break }
                end -= length
            }
            return start == 0 && end == text.count ? nil : Array(text[start..<end])
        case .characterMap(let map): return map.replacingGraphemes(in: text)
        }
    }

    /// How many characters at the beginning of the changed text come from the first one of the text as it was given.
    /// - Parameter count: how many of `text` do, one at least.
    func startCount(_ count: Int, of text: UnsafeBufferPointer<UInt8>) -> Int {
        var end = 0
        for _ in 0..<count where end < text.count { end += text.scalar(at: end).length }
        let start = String(decoding: text[..<end], as: UTF8.self).unicodeScalars
        switch self {
        case .strip(left: true, _): return start.drop { PreTokenizerStep.isSpace($0.value) }.count
        case .stripAccents: return start.count { !NormalizerStep.isMark($0.value) }
        case .replace(let pattern, let content):
            guard content.isEmpty, let match = pattern.matches(in: text).first, match.lowerBound == 0 else {
                return count
            }
            return String(decoding: text[min(match.upperBound, end)..<end], as: UTF8.self).unicodeScalars.count
        case .form, .lowercase:
            guard let changed = apply(to: UnsafeBufferPointer(rebasing: text[..<end])) else { return count }
            return max(1, String(decoding: changed, as: UTF8.self).unicodeScalars.count)
        default: return count
        }
    }

    private static func lowercased(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            if scalar.value < 0x80 {
                let value = UInt8(scalar.value)
                result.append((0x41...0x5A).contains(value) ? value | 0x20 : value)
            } else {
                result += scalar.properties.lowercaseMapping.utf8
            }
        }
        return result
    }

    private static func withoutMarks(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.contains(where: { $0 >= 0xCC }) else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var position = 0
        while position < text.count {
            let (value, length) = text.scalar(at: position)
            if value < 0x300 || !isMark(value) { result += text[position..<position + length] }
            position += length
        }
        return result
    }

    /// Marks as far as Unicode 9 goes, which is what the package knows here.
    private static func isMark(_ value: UInt32) -> Bool {
        switch value {
        case 0x1CF2, 0x1CF3: return true  // letters since Unicode 12
        case 0x111C9: return false  // punctuation until Unicode 11
        default: break
        }
        guard ScalarKinds.marks.has(ScalarKind(value)) else { return false }
        return Unicode.Scalar(value)!.properties.age.map { $0.major <= 9 } ?? false
    }
}

/// Unicode's normalization forms, as far as Unicode 9 goes.
/// Source: Unicode Standard Annex #15.
enum UnicodeForm: String, CaseIterable, Sendable {
    case composed = "NFC"
    case decomposed = "NFD"
    case compatiblyComposed = "NFKC"
    case compatiblyDecomposed = "NFKD"

    func apply(to text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        switch self {
        case .composed: return CanonicalComposition.composed(text)
        case .decomposed: return CanonicalComposition.decomposed(text)
        case .compatiblyComposed, .compatiblyDecomposed:
            // Characters consist of others, which have mappings of their own.
            guard let parts = CanonicalComposition.decomposed(text) else { return nil }
            let replaced = parts.withUnsafeBufferPointer { CompatibilityMapping.decomposed($0) }
            return replaced.withUnsafeBufferPointer { bytes in
                let form: UnicodeForm = self == .compatiblyComposed ? .composed : .decomposed
                return form.apply(to: bytes) ?? replaced
            }
        }
    }
}

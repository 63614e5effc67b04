/// Python's string operations on Swift strings.
///
/// Python's strings are sequences of code points and compare by them, Swift's are sequences of grapheme clusters and
/// compare by canonical equivalence. Everything here therefore works on scalars or on UTF-8 bytes, whose order and
/// substrings agree with those of code points.
enum PythonText {
    /// What `str.isspace` and the regular expression `\s` take for whitespace.
    static func isWhitespace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// Where `str.splitlines` cuts.
    static func isLineBreak(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    /// What the regular expression `\w` matches.
    static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return scalar == "_" || ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
                || ("0"..."9").contains(scalar)
        }
        return isAlphanumeric(scalar)
    }

    static func isAlphabetic(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    static func isAlphanumeric(_ scalar: Unicode.Scalar) -> Bool {
        isAlphabetic(scalar) || scalar.properties.numericType != nil
    }

    static func equal(_ left: String, _ right: String) -> Bool {
        // Equal bytes are always canonically equivalent: the fast comparison settles most of the unequal ones.
        left == right && left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
    }

    /// Number of code points.
    static func length(_ text: String) -> Int { text.unicodeScalars.count }

    static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    // MARK: - Searching

    /// Offsets of the non-overlapping occurrences of `needle`, from the left, at most `limit` of them.
    ///
    /// Knuth, Morris and Pratt, so that a hostile template cannot make it quadratic.
    /// - Precondition: `needle` is not empty.
    /// - Complexity: O(haystack + needle).
    static func occurrences(of needle: [UInt8], in haystack: [UInt8], limit: Int = .max) -> [Int] {
        precondition(!needle.isEmpty, "an empty needle occurs everywhere")
        var fallback = [Int](repeating: 0, count: needle.count)
        var matched = 0
        for index in 1..<max(1, needle.count) {
            while matched > 0, needle[index] != needle[matched] { matched = fallback[matched - 1] }
            if needle[index] == needle[matched] { matched += 1 }
            fallback[index] = matched
        }
        var found: [Int] = []
        matched = 0
        for (index, byte) in haystack.enumerated() where found.count < limit {
            while matched > 0, byte != needle[matched] { matched = fallback[matched - 1] }
            if byte == needle[matched] { matched += 1 }
            if matched == needle.count {
                found.append(index + 1 - matched)
                matched = 0
            }
        }
        return found
    }

    /// As ``occurrences(of:in:limit:)``, but found from the right; the offsets still ascend.
    static func lastOccurrences(of needle: [UInt8], in haystack: [UInt8], limit: Int) -> [Int] {
        let found = occurrences(of: needle.reversed(), in: haystack.reversed(), limit: limit)
        return found.reversed().map { haystack.count - $0 - needle.count }
    }

    static func contains(_ needle: String, in haystack: String) -> Bool {
        needle.isEmpty || !occurrences(of: Array(needle.utf8), in: Array(haystack.utf8), limit: 1).isEmpty
    }

    /// `str.replace`: an empty `old` stands before every code point and at the end.
    static func replace(_ text: String, _ old: String, with new: String, limit: Int) -> String {
        guard limit > 0 else { return text }
        var result = ""
        if old.isEmpty {
            var count = 0
            for scalar in text.unicodeScalars {
                if count < limit { result += new }
                count += 1
                result.unicodeScalars.append(scalar)
            }
            return count < limit ? result + new : result
        }
        let bytes = Array(text.utf8)
        var start = 0
        for offset in occurrences(of: Array(old.utf8), in: bytes, limit: limit) {
            result += String(decoding: bytes[start..<offset], as: UTF8.self) + new
            start = offset + old.utf8.count
        }
        return result + String(decoding: bytes[start...], as: UTF8.self)
    }

    // MARK: - Splitting

    /// `str.split` with a separator; `fromRight` for `str.rsplit`.
    static func split(_ text: String, separator: String, limit: Int, fromRight: Bool) -> [String] {
        let bytes = Array(text.utf8)
        let needle = Array(separator.utf8)
        let found =
            fromRight
            ? lastOccurrences(of: needle, in: bytes, limit: limit) : occurrences(of: needle, in: bytes, limit: limit)
        var parts: [String] = []
        var start = 0
        for offset in found {
            parts.append(String(decoding: bytes[start..<offset], as: UTF8.self))
            start = offset + needle.count
        }
        return parts + [String(decoding: bytes[start...], as: UTF8.self)]
    }

    /// `str.split` without a separator: at runs of whitespace, those at the ends dropped.
    static func splitAtWhitespace(_ text: String, limit: Int, fromRight: Bool) -> [String] {
        let scalars = fromRight ? Array(text.unicodeScalars.reversed()) : Array(text.unicodeScalars)
        var parts: [[Unicode.Scalar]] = []
        var index = 0
        func skipWhitespace() { while index < scalars.count, isWhitespace(scalars[index]) { index += 1 } }
        skipWhitespace()
        while index < scalars.count {
            let start = index
            if parts.count == limit {
                parts.append(Array(scalars[start...]))
                break
            }
            while index < scalars.count, !isWhitespace(scalars[index]) { index += 1 }
            parts.append(Array(scalars[start..<index]))
            skipWhitespace()
        }
        return fromRight ? parts.reversed().map { string($0.reversed()) } : parts.map { string($0) }
    }

    static func splitLines(_ text: String, keepEnds: Bool = false) -> [String] {
        let scalars = Array(text.unicodeScalars)
        var lines: [String] = []
        var start = 0
        while start < scalars.count {
            var end = start
            while end < scalars.count, !isLineBreak(scalars[end]) { end += 1 }
            var next = min(end + 1, scalars.count)
            if end < scalars.count, scalars[end] == "\r", next < scalars.count, scalars[next] == "\n" { next += 1 }
            lines.append(string(scalars[start..<(keepEnds ? next : end)]))
            start = next
        }
        return lines
    }

    // MARK: - Stripping

    /// `str.strip`; `characters` of nil stands for whitespace.
    static func strip(_ text: String, _ characters: String?, left: Bool = true, right: Bool = true) -> String {
        let set = characters.map { Set($0.unicodeScalars) }
        let isStripped = { (scalar: Unicode.Scalar) in set?.contains(scalar) ?? isWhitespace(scalar) }
        var rest = text.unicodeScalars[...]
        if left { rest = rest.drop(while: isStripped) }
        if right { while let last = rest.last, isStripped(last) { rest.removeLast() } }
        return String(rest)
    }
}

extension String {
    /// This text with every character that would steer a terminal or hide in it spelt out as `\u{1B}`.
    ///
    /// Names of tensors, models and files come from strangers: an escape sequence in one of them must not move the
    /// cursor, and a right-to-left override must not turn a line around.
    public var printable: String {
        guard unicodeScalars.contains(where: \.isSteering) else { return self }
        var text = ""
        for scalar in unicodeScalars {
            if scalar.isSteering {
                text += "\\u{" + String(scalar.value, radix: 16, uppercase: true) + "}"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// The number of terminal cells this text takes: two for the wide characters of East Asia and for emoji.
    ///
    /// Source: Unicode Standard Annex #11, classes W and F, in ranges coarse enough for a table's alignment.
    public var displayWidth: Int { reduce(0) { $0 + $1.displayWidth } }

    /// The longest beginning that fits into `width` cells, with an ellipsis if something was cut off.
    /// - Complexity: O(`width`), however long the text is.
    public func truncated(toWidth width: Int, allowsUnicode: Bool) -> String {
        let ellipsis = allowsUnicode ? "…" : "..."
        var used = 0
        var end = startIndex  // of what fits in front of the ellipsis
        for index in indices {
            used += self[index].displayWidth
            if used > width {
                guard width > ellipsis.count else { return String(repeating: ".", count: max(width, 0)) }
                return self[..<end] + ellipsis
            }
            if used <= width - ellipsis.count { end = self.index(after: index) }
        }
        return self
    }
}

extension Character {
    /// Cells of a terminal.
    fileprivate var displayWidth: Int {
        guard let first = unicodeScalars.first else { return 0 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return 0
        default: return first.isWide ? 2 : 1
        }
    }
}

extension Unicode.Scalar {
    /// Control characters, line and paragraph separators, and the marks that change the direction of writing.
    fileprivate var isSteering: Bool {
        switch value {
        case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    fileprivate var isWide: Bool {
        switch value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
            0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F,
            0x1F680...0x1F6FF, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            true
        default: false
        }
    }
}

extension PythonText {
    private enum Case { case upper, lower, title }

    static func uppercased(_ text: String) -> String { mapped(text) { _ in .upper } }

    static func lowercased(_ text: String) -> String { mapped(text) { _ in .lower } }

    /// Maps every scalar to the case that `choose` names, with Python's rule for the lower case of a capital sigma:
    /// final at the end of a word, medial elsewhere.
    private static func mapped(_ text: String, _ choose: (Unicode.Scalar) -> Case) -> String {
        let sigma: Unicode.Scalar = "\u{3A3}"
        let scalars = text.unicodeScalars.contains(sigma) ? Array(text.unicodeScalars) : []
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for (index, scalar) in text.unicodeScalars.enumerated() {
            switch choose(scalar) {
            case .upper: result += scalar.properties.uppercaseMapping
            case .title: result += scalar.properties.titlecaseMapping
            case .lower:
                let isFinal = scalar == sigma && isFinalSigma(at: index, in: scalars)
                result += isFinal ? "\u{3C2}" : scalar.properties.lowercaseMapping
            }
        }
        return result
    }

    private static func isFinalSigma(at index: Int, in scalars: [Unicode.Scalar]) -> Bool {
        // Only the nearest scalar that is not case-ignorable decides. Combining marks come in short runs in real text;
        // the bound keeps hostile text linear.
        let reach = 64
        let before = scalars[max(0, index - reach)..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)..<min(scalars.count, index + 1 + reach)]
            .first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true
    }

    static func capitalized(_ text: String) -> String {
        var isFirst = true
        return mapped(text) { _ in
            defer { isFirst = false }
            return isFirst ? .title : .lower
        }
    }

    /// `str.title`: a capital after everything that is no letter.
    static func titlecased(_ text: String) -> String {
        var isInWord = false
        return mapped(text) { scalar in
            defer { isInWord = scalar.properties.isCased }
            return isInWord ? .lower : .title
        }
    }

    static func swappedCase(_ text: String) -> String {
        mapped(text) { $0.properties.isUppercase ? .lower : .upper }
    }

    /// `str.islower` and `str.isupper`: some cased character, and none of the other case.
    static func isLowercase(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.properties.isLowercase }
            && !text.unicodeScalars.contains {
                $0.properties.isUppercase || $0.properties.generalCategory == .titlecaseLetter
            }
    }

    static func isUppercase(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.properties.isUppercase }
            && !text.unicodeScalars.contains {
                $0.properties.isLowercase || $0.properties.generalCategory == .titlecaseLetter
            }
    }

    /// The filter `title`: words start after whitespace, `-`, `(`, `{`, `[` and `<`.
    static func wordsCapitalized(_ text: String) -> String {
        var result = ""
        var word: [Unicode.Scalar] = []
        func finishWord() {
            guard let first = word.first else { return }
            result += first.properties.uppercaseMapping + lowercased(string(word.dropFirst()))
            word = []
        }
        for scalar in text.unicodeScalars {
            switch scalar {
            case "-", "(", "{", "[", "<":
                finishWord()
                result.unicodeScalars.append(scalar)
            case _ where isWhitespace(scalar):
                finishWord()
                result.unicodeScalars.append(scalar)
            default: word.append(scalar)
            }
        }
        finishWord()
        return result
    }

    /// HTML escaping as markupsafe does it.
    static func escapedForHTML(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&#34;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// `repr` of a string: in single quotes, unless it holds some and no double ones.
    static func representation(_ text: String) -> String {
        let scalars = text.unicodeScalars
        let quote: Unicode.Scalar = scalars.contains("'") && !scalars.contains("\"") ? "\"" : "'"
        var result = String(quote)
        for scalar in scalars {
            switch scalar {
            case quote, "\\":
                result += "\\"
                result.unicodeScalars.append(scalar)
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where isPrintable(scalar): result.unicodeScalars.append(scalar)
            default:
                let (letter, width) = scalar.value <= 0xFF ? ("x", 2) : scalar.value <= 0xFFFF ? ("u", 4) : ("U", 8)
                let digits = String(scalar.value, radix: 16)
                result += "\\" + letter + String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
            }
        }
        return result + String(quote)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }
}

/// Python's numbers: what they print as, how they compare and divide.
enum PythonNumber {
    enum Order { case less, equal, greater, unordered }

    /// Compares two numbers exactly, also where an integer has no exact Double; `unordered` for anything else.
    static func compare(_ left: TemplateValue, _ right: TemplateValue) -> Order {
        switch (left, right) {
        case (.float(let left), .float(let right)):
            return left < right ? .less : left > right ? .greater : left == right ? .equal : .unordered
        case (.float(let left), _):
            guard let right = right.index else { return .unordered }
            switch compare(right, left) {
            case .less: return .greater
            case .greater: return .less
            case let order: return order
            }
        case (_, .float(let right)):
            guard let left = left.index else { return .unordered }
            return compare(left, right)
        default:
            guard let left = left.index, let right = right.index else { return .unordered }
            return left < right ? .less : left > right ? .greater : .equal
        }
    }

    private static func compare(_ left: Int, _ right: Double) -> Order {
        if right.isNaN { return .unordered }
        let whole = right.rounded(.down)
        guard let integer = Int(exactly: whole) else { return right > 0 ? .less : .greater }
        if left == integer { return whole == right ? .equal : .less }
        return left < integer ? .less : .greater
    }

    /// `repr` of a float: the shortest digits that read back, in scientific notation below 1e-4 and from 1e16 on.
    static func representation(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        let sign = value.sign == .minus ? "-" : ""
        if value == 0 { return sign + "0.0" }
        // Swift prints the same shortest digits, but changes notation elsewhere.
        let parts = "\(value.magnitude)".split(separator: "e")
        let mantissa = parts[0].split(separator: ".")
        let fraction = mantissa.count > 1 ? String(mantissa[1]) : ""
        var digits = String(mantissa[0]) + fraction
        var exponent = (parts.count > 1 ? Int(parts[1])! : 0) + mantissa[0].utf8.count
        while digits.hasPrefix("0"), digits.utf8.count > 1 {
            digits.removeFirst()
            exponent -= 1
        }
        while digits.hasSuffix("0"), digits.utf8.count > 1 { digits.removeLast() }
        // Now the value is 0.DIGITS times ten to the power of `exponent`.
        if exponent > 16 || exponent < -3 {
            let power = exponent - 1
            let magnitude = String(power.magnitude)
            let first = digits.removeFirst()
            return sign + String(first) + (digits.isEmpty ? "" : "." + digits) + "e" + (power < 0 ? "-" : "+")
                + (magnitude.utf8.count < 2 ? "0" : "") + magnitude
        }
        if exponent <= 0 { return sign + "0." + String(repeating: "0", count: -exponent) + digits }
        let count = digits.utf8.count
        if count <= exponent { return sign + digits + String(repeating: "0", count: exponent - count) + ".0" }
        return sign + digits.prefix(exponent) + "." + digits.dropFirst(exponent)
    }

    // MARK: - Division that rounds down

    /// - Precondition: `divisor` is not zero.
    static func floorDivision(_ dividend: Int, _ divisor: Int) -> Int? {
        let (quotient, overflow) = dividend.dividedReportingOverflow(by: divisor)
        if overflow { return nil }
        let remainder = dividend - quotient * divisor
        return remainder != 0 && (remainder < 0) != (divisor < 0) ? quotient - 1 : quotient
    }

    /// - Precondition: `divisor` is not zero.
    static func remainder(_ dividend: Int, _ divisor: Int) -> Int {
        if divisor == -1 { return 0 }
        let remainder = dividend % divisor
        return remainder != 0 && (remainder < 0) != (divisor < 0) ? remainder + divisor : remainder
    }

    /// Quotient rounded down and remainder of floats, by CPython's algorithm.
    /// - Precondition: `divisor` is not zero.
    static func floorDivision(_ dividend: Double, _ divisor: Double) -> (quotient: Double, remainder: Double) {
        var remainder = dividend.truncatingRemainder(dividingBy: divisor)
        var quotient = (dividend - remainder) / divisor
        if remainder != 0 {
            if (divisor < 0) != (remainder < 0) {
                remainder += divisor
                quotient -= 1
            }
        } else {
            remainder = Double(signOf: divisor, magnitudeOf: 0)
        }
        if quotient != 0 {
            let rounded = quotient.rounded(.down)
            quotient = quotient - rounded > 0.5 ? rounded + 1 : rounded
        } else {
            quotient = Double(signOf: dividend / divisor, magnitudeOf: 0)
        }
        return (quotient, remainder)
    }

    // MARK: - Reading

    /// `int(text, base)`: whitespace around, a sign, prefixes for base 0, 2, 8 and 16, underscores between digits.
    static func integer(_ text: String, base: Int) -> Int? {
        let plain = withASCIIDigits(PythonText.strip(text, nil))
        var rest = plain[...]
        var isNegative = false
        if let sign = rest.first, sign == "-" || sign == "+" {
            isNegative = sign == "-"
            rest = rest.dropFirst()
        }
        var base = base
        let prefix = rest.prefix(2).lowercased()
        for (letters, radix) in [("0b", 2), ("0o", 8), ("0x", 16)] where prefix == letters {
            guard base == radix || base == 0 else { continue }
            base = radix
            rest = rest.dropFirst(2)
            if rest.first == "_" { rest = rest.dropFirst() }
        }
        if base == 0 {
            // Without a prefix, base 0 takes decimal digits, but no leading zeros.
            guard !rest.hasPrefix("0") || rest.allSatisfy({ $0 == "0" || $0 == "_" }) else { return nil }
            base = 10
        }
        guard let digits = withoutUnderscores(rest), digits.allSatisfy({ $0.isASCII && $0.isHexDigit || $0.isLetter })
        else { return nil }
        return Int((isNegative ? "-" : "") + digits, radix: base)
    }

    /// `float(text)`.
    static func float(_ text: String) -> Double? {
        let stripped = withASCIIDigits(PythonText.strip(text, nil))
        var rest = stripped.lowercased()[...]
        if let sign = rest.first, sign == "-" || sign == "+" { rest = rest.dropFirst() }
        let isNegative = stripped.hasPrefix("-")
        switch rest {
        case "inf", "infinity": return isNegative ? -.infinity : .infinity
        case "nan": return .nan
        default: break
        }
        // Swift would also read hexadecimal floats.
        guard let first = rest.unicodeScalars.first, first == "." || ("0"..."9").contains(first),
            rest.unicodeScalars.allSatisfy({ ("0"..."9").contains($0) || "._e+-".unicodeScalars.contains($0) }),
            let digits = withoutUnderscores(rest)
        else { return nil }
        let padded = digits.hasPrefix(".") ? "0" + digits : digits
        return Double(padded.hasSuffix(".") ? padded + "0" : padded.replacingDotBeforeExponent())
            .map { isNegative ? -$0 : $0 }
    }

    /// Python reads the decimal digits of every script.
    private static func withASCIIDigits(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if !scalar.isASCII, scalar.properties.numericType == .decimal, let value = scalar.properties.numericValue {
                result += String(Int(value))
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// nil unless every underscore stands between two digits or letters.
    private static func withoutUnderscores(_ text: Substring) -> String? {
        var result = ""
        var previous: Character = "_"
        for character in text {
            if character == "_" {
                guard previous.isLetter || previous.isNumber else { return nil }
            } else {
                result.append(character)
            }
            previous = character
        }
        return previous == "_" ? nil : result
    }
}

extension String {
    /// "1.e5" as "1.0e5": Python accepts a point without digits after it, Swift does not.
    fileprivate func replacingDotBeforeExponent() -> String {
        guard let mark = firstIndex(of: "e"), mark > startIndex, self[index(before: mark)] == "." else { return self }
        return self[..<mark] + "0" + self[mark...]
    }
}

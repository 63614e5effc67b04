/// Why a vocabulary or a tokenizer file is not one we accept, in one sentence.
public struct TokenizerError: Error, Equatable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

extension String {
    /// This text in quotation marks for an error message: control characters escaped, long texts cut.
    var quoted: String {
        let limit = 80
        var result = "\""
        for scalar in unicodeScalars.prefix(limit) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + (unicodeScalars.count > limit ? "...\"" : "\"")
    }
}

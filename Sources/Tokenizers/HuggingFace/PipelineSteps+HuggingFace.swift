import OrderedJSON

extension Pattern {
    /// A `pattern` of a tokenizer.json: `{"String": ..}` or `{"Regex": ..}`.
    init(_ step: ComponentReader) throws(TokenizerError) {
        let pattern = try ComponentReader(step.member("pattern"), name: "\(step.name).pattern")
        try pattern.check(knownKeys: ["String", "Regex"])
        if let text = try pattern.string("String") {
            self.init(literal: text)
        } else if let text = try pattern.string("Regex") {
            do throws(TokenizerError) { try self.init(expression: text) } catch {
                throw TokenizerError("\(pattern.name): \(error)")
            }
        } else {
            throw TokenizerError("\(pattern.name) has no String and no Regex")
        }
    }
}

extension SplitBehavior {
    init(_ step: ComponentReader) throws(TokenizerError) {
        let name = try step.string("behavior")
        guard let behavior = name.flatMap(SplitBehavior.init(rawValue:)) else {
            let names = SplitBehavior.allCases.map(\.rawValue).joined(separator: ", ")
            throw TokenizerError("\(step.name).behavior is \((name ?? "none").quoted), expected one of \(names)")
        }
        self = behavior
    }
}

extension NormalizerStep {
    /// One step of a `normalizer`.
    init(_ step: ComponentReader) throws(TokenizerError) {
        let type = step.type ?? ""
        if let form = UnicodeForm(rawValue: type) {
            try step.check(knownKeys: [])
            self = .form(form)
            return
        }
        switch type {
        case "Lowercase":
            try step.check(knownKeys: [])
            self = .lowercase
        case "StripAccents":
            try step.check(knownKeys: [])
            self = .stripAccents
        case "Replace":
            try step.check(knownKeys: ["pattern", "content"])
            self = .replace(try Pattern(step), with: Array(try step.requiredString("content").utf8))
        case "Prepend":
            try step.check(knownKeys: ["prepend"])
            self = .prepend(Array(try step.requiredString("prepend").utf8))
        case "Strip":
            try step.check(knownKeys: ["strip_left", "strip_right"])
            self = .strip(
                left: try step.bool("strip_left", default: true), right: try step.bool("strip_right", default: true))
        case "Precompiled":
            try step.check(knownKeys: ["precompiled_charsmap"])
            let text = try step.requiredString("precompiled_charsmap")
            guard let bytes = Base64.decoded(text) else {
                throw TokenizerError("\(step.name).precompiled_charsmap is not base64")
            }
            self = .characterMap(try CharacterMap(bytes))
        default:
            throw step.unknownType(
                expected:
                    "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Replace, Prepend, Strip, Precompiled or Sequence")
        }
    }
}

extension PreTokenizerStep {
    /// One step of a `pre_tokenizer` but ByteLevel.
    init(_ step: ComponentReader) throws(TokenizerError) {
        switch step.type {
        case "Digits":
            try step.check(knownKeys: ["individual_digits"])
            self = .digits(each: try step.bool("individual_digits", default: false))
        case "Split": self = try PreTokenizerStep.split(step)
        case "Punctuation":
            try step.check(knownKeys: ["behavior"])
            self = .punctuation(step.member("behavior").isNull ? .isolated : try SplitBehavior(step))
        case "Whitespace":
            try step.check(knownKeys: [])
            self = .words
        case "WhitespaceSplit":
            try step.check(knownKeys: [])
            self = .whitespace
        case "Metaspace": self = .metaspace(try Metaspace(step))
        default:
            throw step.unknownType(
                expected:
                    "ByteLevel, Digits, Split, Punctuation, Whitespace, WhitespaceSplit, Metaspace or Sequence")
        }
    }

    private static func split(_ step: ComponentReader) throws(TokenizerError) -> PreTokenizerStep {
        try step.check(knownKeys: ["pattern", "behavior", "invert"])
        let behavior = try SplitBehavior(step)
        let isInverted = try step.bool("invert", default: false)
        // The scanners' patterns match every character, so keeping the matches and dropping what lies between them is
        // the same.
        if let text = step.member("pattern")["Regex"]?.stringValue,
            let known = [PreTokenizer.gpt2, .llama3, .qwen2].first(where: { $0.pattern == text }),
            behavior == .isolated || (behavior == .removed && isInverted)
        {
            return .scanner(known)
        }
        return .split(try Pattern(step), behavior, isInverted: isInverted)
    }
}

extension Metaspace {
    /// A Metaspace of a `pre_tokenizer` or a `decoder`.
    init(_ step: ComponentReader) throws(TokenizerError) {
        try step.check(knownKeys: ["replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"])
        let replacement = try step.string("replacement") ?? "\u{2581}"
        guard replacement.unicodeScalars.count == 1 else {
            throw TokenizerError("\(step.name).replacement is \(replacement.quoted), expected one character")
        }
        let name = try step.string("prepend_scheme")
        guard var scheme = Scheme(rawValue: name ?? "always") else {
            throw TokenizerError(
                "\(step.name).prepend_scheme is \((name ?? "").quoted), expected first, never or always")
        }
        // Files from before the schemes.
        if try !step.bool("add_prefix_space", default: true) {
            guard name == nil || scheme == .never else {
                throw TokenizerError(
                    "\(step.name).add_prefix_space is false but prepend_scheme is \(scheme.rawValue), expected never")
            }
            scheme = .never
        }
        self.init(
            replacement: Array(replacement.utf8), scheme: scheme, splits: try step.bool("split", default: true))
    }
}

extension DecoderStep {
    /// One step of the `decoder` of a vocabulary that is not byte-level.
    init(_ step: ComponentReader) throws(TokenizerError) {
        switch step.type {
        case "Replace":
            try step.check(knownKeys: ["pattern", "content"])
            self = .replace(try Pattern(step), with: Array(try step.requiredString("content").utf8))
        case "ByteFallback":
            try step.check(knownKeys: [])
            self = .byteFallback
        case "Fuse":
            try step.check(knownKeys: [])
            self = .fuse
        case "Strip":
            try step.check(knownKeys: ["content", "start", "stop"])
            let content = try step.requiredString("content")
            guard content.unicodeScalars.count == 1 else {
                throw TokenizerError("\(step.name).content is \(content.quoted), expected one character")
            }
            func count(_ key: String) throws(TokenizerError) -> Int {
                guard let count = step.member(key).intValue, (0...1_000).contains(count) else {
                    throw TokenizerError("\(step.name).\(key) is \(step.member(key).text()), expected 0 to 1000")
                }
                return count
            }
            self = .strip(content: Array(content.utf8), start: try count("start"), stop: try count("stop"))
        case "Metaspace":
            let metaspace = try Metaspace(step)
            self = .metaspace(metaspace.replacement, removesFirst: metaspace.scheme != .never)
        default:
            throw step.unknownType(expected: "Replace, ByteFallback, Fuse, Strip, Metaspace or Sequence")
        }
    }
}

/// Source: RFC 4648, section 4.
enum Base64 {
    /// nil if the text is not base64 with its padding.
    static func decoded(_ text: String) -> [UInt8]? {
        let units = Array(text.utf8)
        guard units.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(units.count / 4 * 3)
        for start in stride(from: 0, to: units.count, by: 4) {
            let isLast = start + 4 == units.count
            let padding = isLast ? units[(start + 2)...].reversed().prefix { $0 == UInt8(ascii: "=") }.count : 0
            var value: UInt32 = 0
            for index in start..<start + 4 - padding {
                guard let digit = digit(units[index]) else { return nil }
                value = value << 6 | digit
            }
            value <<= UInt32(6 * padding)
            for shift in [UInt32(16), 8, 0].prefix(3 - padding) { bytes.append(UInt8(value >> shift & 0xFF)) }
        }
        return bytes
    }

    private static func digit(_ unit: UInt8) -> UInt32? {
        switch unit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(unit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(unit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(unit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}

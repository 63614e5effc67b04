/// Unicode's general categories, with the control characters that are white space as one more: together they tell apart
/// all that `\p{..}`, `\s`, `\d` and the like stand for.
///
/// Categories are those of Unicode 16, which the patterns' usual engine knows; newer characters count as unassigned.
enum ScalarKind: UInt8, CaseIterable {
    case uppercaseLetter, lowercaseLetter, titlecaseLetter, modifierLetter, otherLetter
    case nonspacingMark, spacingMark, enclosingMark
    case decimalNumber, letterNumber, otherNumber
    case connectorPunctuation, dashPunctuation, openPunctuation, closePunctuation
    case initialPunctuation, finalPunctuation, otherPunctuation
    case mathSymbol, currencySymbol, modifierSymbol, otherSymbol
    case spaceSeparator, lineSeparator, paragraphSeparator
    case control, controlSpace, format, surrogate, privateUse, unassigned

    init(_ value: UInt32) {
        self = value < 0x10000 ? ScalarKind(rawValue: ScalarKind.basicPlane[Int(value)])! : ScalarKind(looking: value)
    }

    /// The kind of every character of the basic plane: asking the standard library for each takes ten times as long.
    private static let basicPlane: [UInt8] = (0..<0x10000).map { ScalarKind(looking: $0).rawValue }

    private init(looking value: UInt32) {
        guard let scalar = Unicode.Scalar(value) else {
            self = .surrogate
            return
        }
        if value == 0x295 {
            self = .lowercaseLetter  // until Unicode 17
            return
        }
        let properties = scalar.properties
        let category = properties.generalCategory
        if category != .unassigned, category != .privateUse, let age = properties.age, age.major > 16 {
            self = .unassigned
            return
        }
        self = ScalarKind(category, isSpace: properties.isWhitespace)
    }

    private init(_ category: Unicode.GeneralCategory, isSpace: Bool) {
        self =
            switch category {
            case .uppercaseLetter: .uppercaseLetter
            case .lowercaseLetter: .lowercaseLetter
            case .titlecaseLetter: .titlecaseLetter
            case .modifierLetter: .modifierLetter
            case .otherLetter: .otherLetter
            case .nonspacingMark: .nonspacingMark
            case .spacingMark: .spacingMark
            case .enclosingMark: .enclosingMark
            case .decimalNumber: .decimalNumber
            case .letterNumber: .letterNumber
            case .otherNumber: .otherNumber
            case .connectorPunctuation: .connectorPunctuation
            case .dashPunctuation: .dashPunctuation
            case .openPunctuation: .openPunctuation
            case .closePunctuation: .closePunctuation
            case .initialPunctuation: .initialPunctuation
            case .finalPunctuation: .finalPunctuation
            case .otherPunctuation: .otherPunctuation
            case .mathSymbol: .mathSymbol
            case .currencySymbol: .currencySymbol
            case .modifierSymbol: .modifierSymbol
            case .otherSymbol: .otherSymbol
            case .spaceSeparator: .spaceSeparator
            case .lineSeparator: .lineSeparator
            case .paragraphSeparator: .paragraphSeparator
            case .control: isSpace ? .controlSpace : .control
            case .format: .format
            case .surrogate: .surrogate
            case .privateUse: .privateUse
            case .unassigned: .unassigned
            @unknown default: .unassigned
            }
    }
}

/// A set of kinds, a bit for each.
struct ScalarKinds: OptionSet {
    let rawValue: UInt32

    init(rawValue: UInt32) { self.rawValue = rawValue }

    init(_ kinds: ScalarKind...) { rawValue = kinds.reduce(0) { $0 | 1 << UInt32($1.rawValue) } }

    @inline(__always)
    func has(_ kind: ScalarKind) -> Bool { rawValue >> UInt32(kind.rawValue) & 1 == 1 }

    static let all = ScalarKinds(rawValue: 1 << UInt32(ScalarKind.allCases.count) - 1)
    static let letters = ScalarKinds(
        .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter)
    static let marks = ScalarKinds(.nonspacingMark, .spacingMark, .enclosingMark)
    static let numbers = ScalarKinds(.decimalNumber, .letterNumber, .otherNumber)
    static let punctuation = ScalarKinds(
        .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
        .finalPunctuation, .otherPunctuation)
    static let symbols = ScalarKinds(.mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol)
    static let separators = ScalarKinds(.spaceSeparator, .lineSeparator, .paragraphSeparator)
    static let controls = ScalarKinds(.control, .controlSpace)
    static let others: ScalarKinds = [.controls, ScalarKinds(.format, .surrogate, .privateUse, .unassigned)]
    /// `\s`
    static let spaces: ScalarKinds = [.separators, ScalarKinds(.controlSpace)]

    /// The kinds that `\p{name}` stands for; nil if the name is none of a category.
    init?(categoryName name: String) {
        guard let kinds = ScalarKinds.named[name.lowercased().filter { !" _-".contains($0) }] else { return nil }
        self = kinds
    }

    private static let named: [String: ScalarKinds] = [
        "l": .letters, "letter": .letters, "m": .marks, "mark": .marks, "n": .numbers, "number": .numbers,
        "p": .punctuation, "punctuation": .punctuation, "s": .symbols, "symbol": .symbols, "z": .separators,
        "separator": .separators, "c": .others, "other": .others, "cc": .controls, "control": .controls,
        "lu": ScalarKinds(.uppercaseLetter), "uppercaseletter": ScalarKinds(.uppercaseLetter),
        "ll": ScalarKinds(.lowercaseLetter), "lowercaseletter": ScalarKinds(.lowercaseLetter),
        "lt": ScalarKinds(.titlecaseLetter), "titlecaseletter": ScalarKinds(.titlecaseLetter),
        "lm": ScalarKinds(.modifierLetter), "modifierletter": ScalarKinds(.modifierLetter),
        "lo": ScalarKinds(.otherLetter), "otherletter": ScalarKinds(.otherLetter),
        "mn": ScalarKinds(.nonspacingMark), "nonspacingmark": ScalarKinds(.nonspacingMark),
        "mc": ScalarKinds(.spacingMark), "spacingmark": ScalarKinds(.spacingMark),
        "me": ScalarKinds(.enclosingMark), "enclosingmark": ScalarKinds(.enclosingMark),
        "nd": ScalarKinds(.decimalNumber), "decimalnumber": ScalarKinds(.decimalNumber),
        "nl": ScalarKinds(.letterNumber), "letternumber": ScalarKinds(.letterNumber),
        "no": ScalarKinds(.otherNumber), "othernumber": ScalarKinds(.otherNumber),
        "pc": ScalarKinds(.connectorPunctuation), "pd": ScalarKinds(.dashPunctuation),
        "ps": ScalarKinds(.openPunctuation), "pe": ScalarKinds(.closePunctuation),
        "pi": ScalarKinds(.initialPunctuation), "pf": ScalarKinds(.finalPunctuation),
        "po": ScalarKinds(.otherPunctuation), "sm": ScalarKinds(.mathSymbol), "sc": ScalarKinds(.currencySymbol),
        "sk": ScalarKinds(.modifierSymbol), "so": ScalarKinds(.otherSymbol), "zs": ScalarKinds(.spaceSeparator),
        "zl": ScalarKinds(.lineSeparator), "zp": ScalarKinds(.paragraphSeparator), "cf": ScalarKinds(.format),
        "cs": ScalarKinds(.surrogate), "co": ScalarKinds(.privateUse), "cn": ScalarKinds(.unassigned),
        "whitespace": .spaces, "space": .spaces,
    ]
}

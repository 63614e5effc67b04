/// Functions of at most 70 lines.
///
/// Counted are the lines from the one with `func`, `init`, `deinit` or `subscript` (in C, with the first word of the
/// function) to the one with the closing brace, both included, with comments and blank lines. A function within another
/// counts for both. Closures and computed properties count for the function they stand in.
enum FunctionLengths {
    static let limit = 70

    struct Function: Equatable {
        let name: String
        /// From 1.
        let firstLine: Int
        let lineCount: Int
    }

    static func violations(in file: SourceFile) -> [Violation] {
        functions(in: file).filter { $0.lineCount > limit }.map {
            Violation(file.path, $0.firstLine, "\($0.name) has \($0.lineCount) lines, at most \(limit)")
        }
    }

    static func functions(in file: SourceFile) -> [Function] {
        let tokens = Tokens(file.code)
        return file.isSwift ? swiftFunctions(tokens) : file.isC ? cFunctions(tokens) : []
    }

    /// Words that begin another declaration: where one of them comes before a brace, the function has no body.
    private static let declarationWords: Set<String> = [
        "func", "var", "let", "init", "deinit", "subscript", "associatedtype", "typealias", "case", "static",
        "mutating",
        "public", "private", "fileprivate", "internal", "package", "struct", "enum", "class", "extension", "protocol",
    ]

    private static func swiftFunctions(_ tokens: Tokens) -> [Function] {
        var functions: [Function] = []
        for index in tokens.indices {
            let word = tokens[index]
            let next = index + 1 < tokens.count ? tokens[index + 1] : ""
            let isMember = index > 0 && tokens[index - 1] == "."
            let isFunction =
                switch word {
                case "func": true
                case "init", "subscript": !isMember && ["(", "<", "?", "!"].contains(next)
                case "deinit": next == "{"
                default: false
                }
            guard isFunction, let open = tokens.bodyOfSwiftFunction(from: index + 1, endingAt: declarationWords),
                let close = tokens.closing(open)
            else { continue }
            functions.append(function(tokens, name: word == "func" ? next : word, from: index, to: close))
        }
        return functions
    }

    /// A `)` before a brace outside all other braces opens a function; those of `extern "C"` and of namespaces are not
    /// among the others.
    private static func cFunctions(_ tokens: Tokens) -> [Function] {
        var functions: [Function] = []
        var first = 0
        var index = 0
        while index < tokens.count {
            switch tokens[index] {
            case ";", "}":
                first = index + 1
            case "{" where index > 0 && tokens[index - 1] == ")":
                guard let close = tokens.closing(index) else { return functions }
                let name = tokens[first..<index].firstIndex(of: "(").map { tokens[max($0 - 1, first)] } ?? "function"
                functions.append(function(tokens, name: name, from: first, to: close))
                index = close
                first = close + 1
            case "{" where index > 0 && (tokens[index - 1] == "extern" || tokens[first] == "namespace"):
                first = index + 1
            case "{":
                index = tokens.closing(index) ?? tokens.count
            default:
                break
            }
            index += 1
        }
        return functions
    }

    private static func function(_ tokens: Tokens, name: String, from first: Int, to last: Int) -> Function {
        let firstLine = tokens.lines[first]
        return Function(name: name, firstLine: firstLine, lineCount: tokens.lines[last] - firstLine + 1)
    }
}

/// The words and marks of masked code, each with its line.
struct Tokens {
    private var texts: [String] = []
    /// From 1.
    private(set) var lines: [Int] = []

    init(_ code: [UInt8]) {
        var line = 1
        var word: [UInt8] = []
        func isWordByte(_ byte: UInt8) -> Bool {
            byte >= 128 || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "`") || (48...57).contains(byte)
                || (65...90).contains(byte) || (97...122).contains(byte)
        }
        for byte in code {
            if isWordByte(byte) {
                word.append(byte)
                continue
            }
            if !word.isEmpty {
                append(String(decoding: word, as: UTF8.self), line)
                word.removeAll(keepingCapacity: true)
            }
            if byte == UInt8(ascii: "\n") {
                line += 1
            } else if byte > 32 {
                append(String(UnicodeScalar(byte)), line)
            }
        }
        if !word.isEmpty { append(String(decoding: word, as: UTF8.self), line) }
    }

    private mutating func append(_ text: String, _ line: Int) {
        texts.append(text)
        lines.append(line)
    }

    var count: Int { texts.count }
    var indices: Range<Int> { texts.indices }
    subscript(index: Int) -> String { texts[index] }
    subscript(range: Range<Int>) -> ArraySlice<String> { texts[range] }

    /// The bracket that closes the one at `open`.
    func closing(_ open: Int) -> Int? {
        var depth = 0
        for index in open..<count {
            if ["{", "(", "["].contains(texts[index]) { depth += 1 }
            if ["}", ")", "]"].contains(texts[index]) { depth -= 1 }
            if depth == 0 { return index }
        }
        return nil
    }

    /// The brace that opens the body of the function whose declaration goes on at `start`; nil if it has none.
    func bodyOfSwiftFunction(from start: Int, endingAt declarationWords: Set<String>) -> Int? {
        var index = start
        while index < count {
            switch texts[index] {
            case "{": return index
            case "}": return nil
            case "(", "[": index = closing(index) ?? count
            case let word where index > start && declarationWords.contains(word): return nil
            default: break
            }
            index += 1
        }
        return nil
    }
}

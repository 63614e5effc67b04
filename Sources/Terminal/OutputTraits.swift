#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What the place that text goes to can show: a terminal of some width, or a pipe or file that wants it plain.
public struct OutputTraits: Sendable, Equatable {
    /// A terminal that understands cursor movement. A "dumb" terminal counts as a file.
    public var isTerminal: Bool
    /// Width in characters; 80 where nobody says.
    public var columns: Int
    /// Colours and bold are welcome: a terminal, and `NO_COLOR` (https://no-color.org) is not set.
    public var allowsColour: Bool
    /// Characters beyond ASCII are welcome: a terminal in a UTF-8 locale.
    public var allowsUnicode: Bool

    public init(isTerminal: Bool, columns: Int = 80, allowsColour: Bool = false, allowsUnicode: Bool = false) {
        self.isTerminal = isTerminal
        self.columns = max(columns, 1)
        self.allowsColour = allowsColour
        self.allowsUnicode = allowsUnicode
    }

    /// What pipes and files get.
    public static let plain = OutputTraits(isTerminal: false)

    /// The traits of an open file descriptor (1 = standard output, 2 = standard error).
    public init(descriptor: Int32, environment: [String: String]) {
        guard isatty(descriptor) == 1, environment["TERM"] != "dumb" else {
            self = .plain
            return
        }
        var size = winsize()
        let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        self.init(terminalColumns: isKnown ? Int(size.ws_col) : nil, environment: environment)
    }

    /// The traits of a terminal, as its environment describes it.
    init(terminalColumns: Int?, environment: [String: String]) {
        let stated = environment["COLUMNS"].flatMap { Int($0) }.flatMap { (1...10_000).contains($0) ? $0 : nil }
        self.init(
            isTerminal: true,
            columns: terminalColumns ?? stated ?? 80,
            allowsColour: environment["NO_COLOR", default: ""].isEmpty,
            allowsUnicode: Self.isUTF8(environment))
    }

    /// POSIX: the first of these variables that is set and not empty names the character set.
    private static func isUTF8(_ environment: [String: String]) -> Bool {
        for variable in ["LC_ALL", "LC_CTYPE", "LANG"] {
            guard let locale = environment[variable]?.lowercased(), !locale.isEmpty else { continue }
            return locale.hasSuffix("utf-8") || locale.hasSuffix("utf8") || locale.contains("utf-8@")
        }
        return false
    }
}

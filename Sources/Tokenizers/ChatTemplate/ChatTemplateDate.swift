/// The moment that a chat template's `strftime_now` tells, on whatever clock and calendar the caller goes by.
///
/// The library has no clock of its own: the same messages and the same date always give the same prompt.
public struct ChatTemplateDate: Sendable, Equatable {
    public let year: Int
    /// 1...12
    public let month: Int
    /// 1...31
    public let day: Int
    /// 0...23
    public let hour: Int
    public let minute: Int
    public let second: Int

    /// - Returns: nil if a part lies outside its range; a day must exist in its month of the Gregorian calendar.
    public init?(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        guard (1...9999).contains(year), (1...12).contains(month),
            (1...Self.daysInMonth(month, of: year)).contains(day), (0...23).contains(hour),
            (0...59).contains(minute), (0...59).contains(second)
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func daysInMonth(_ month: Int, of year: Int) -> Int {
        month == 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// 1...366
    private var dayOfYear: Int {
        (1..<month).reduce(day) { $0 + Self.daysInMonth($1, of: year) }
    }

    /// 0...6, Sunday first.
    private var weekday: Int {
        let past = year - 1
        return (past * 365 + past / 4 - past / 100 + past / 400 + dayOfYear) % 7
    }

    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]
    private static let weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

    /// C's `strftime` in the C locale, for a date without time zone. `%-d` and the like drop leading zeros.
    func formatted(_ format: String) -> String {
        var result = ""
        var scalars = Array(format.unicodeScalars)[...]
        while let scalar = scalars.popFirst() {
            guard scalar == "%", var directive = scalars.first else {
                result.unicodeScalars.append(scalar)
                continue
            }
            var isPadded = true
            var consumed = 1
            if directive == "-", scalars.count > 1 {
                directive = scalars[scalars.startIndex + 1]
                isPadded = false
                consumed = 2
            }
            guard let text = value(of: directive, isPadded: isPadded) else {
                result.unicodeScalars.append(scalar)
                continue
            }
            result += text
            scalars = scalars.dropFirst(consumed)
        }
        return result
    }

    private func value(of directive: Unicode.Scalar, isPadded: Bool) -> String? {
        func number(_ value: Int, _ width: Int, padding: String = "0") -> String {
            let digits = String(value)
            return isPadded ? String(repeating: padding, count: max(0, width - digits.utf8.count)) + digits : digits
        }
        let hourOfHalf = hour % 12 == 0 ? 12 : hour % 12
        switch directive {
        case "%": return "%"
        case "n": return "\n"
        case "t": return "\t"
        case "a": return String(Self.weekdays[weekday].prefix(3))
        case "A": return Self.weekdays[weekday]
        case "b", "h": return String(Self.months[month - 1].prefix(3))
        case "B": return Self.months[month - 1]
        case "c": return formatted("%a %b %e %H:%M:%S %Y")
        case "C": return number(year / 100, 2)
        case "d": return number(day, 2)
        case "D", "x": return formatted("%m/%d/%y")
        case "e": return number(day, 2, padding: " ")
        case "f": return "000000"
        case "F": return formatted("%Y-%m-%d")
        case "H": return number(hour, 2)
        case "I": return number(hourOfHalf, 2)
        case "j": return number(dayOfYear, 3)
        case "k": return number(hour, 2, padding: " ")
        case "l": return number(hourOfHalf, 2, padding: " ")
        case "m": return number(month, 2)
        case "M": return number(minute, 2)
        case "p": return hour < 12 ? "AM" : "PM"
        case "r": return formatted("%I:%M:%S %p")
        case "R": return formatted("%H:%M")
        case "S": return number(second, 2)
        case "T", "X": return formatted("%H:%M:%S")
        case "u": return String(weekday == 0 ? 7 : weekday)
        case "w": return String(weekday)
        case "y": return number(year % 100, 2)
        case "Y": return String(year)
        case "z", "Z": return ""
        default: return nil
        }
    }
}

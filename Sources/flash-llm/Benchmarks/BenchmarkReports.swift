import ArgumentParser
import Charts
import OrderedJSON
import Terminal

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Where a benchmark's results go.
struct BenchmarkReports: ParsableArguments {
    @Flag(help: "Print one JSON object with all samples.")
    var json = false

    @Option(
        help: ArgumentHelp("Write a table for spreadsheets, too: a line for every setting.", valueName: "file"),
        completion: .file())
    var csv: String?

    @Option(help: ArgumentHelp("Draw the results, too, as an SVG picture.", valueName: "file"), completion: .file())
    var plot: String?

    func validate() throws {
        if let csv, csv == plot { throw ValidationError("--csv and --plot name the same file, \(csv)") }
    }

    /// Finds out before the measuring whether its results can be written.
    func check() throws {
        for path in [csv, plot].compactMap(\.self) {
            var status = stat()
            if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
                throw CommandFailure("cannot write \(path): it is a folder")
            }
            let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
            guard access(folder, W_OK) == 0 else {
                throw CommandFailure("cannot write \(path): \(String(cString: strerror(errno)))")
            }
        }
    }

    func write(json object: JSON, table: String, csv lines: CommaSeparatedValues, figure: Figure) throws {
        // What was asked for in words comes even if a file cannot be written.
        print(json ? object.text() : table, terminator: json ? "\n" : "")
        if let csv { try write(lines.text, to: csv) }
        if let plot { try write(figure.svg(), to: plot) }
    }

    private func write(_ text: String, to path: String) throws {
        do { try Data(text.utf8).write(to: URL(filePath: path), options: .atomic) } catch {
            throw CommandFailure("cannot write \(path): \(error)")
        }
    }
}

/// A table for spreadsheets.
/// Source: RFC 4180, with line feeds alone as line ends.
struct CommaSeparatedValues {
    private(set) var text: String

    init(_ titles: [String]) { text = Self.line(titles) }

    mutating func append(_ cells: [String]) { text += Self.line(cells) }

    private static func line(_ cells: [String]) -> String { cells.map(quoted).joined(separator: ",") + "\n" }

    private static func quoted(_ cell: String) -> String {
        let needsQuotes = cell.utf8.contains { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 < 0x20 }
        return needsQuotes ? "\"\(cell.replacing("\"", with: "\"\""))\"" : cell
    }
}

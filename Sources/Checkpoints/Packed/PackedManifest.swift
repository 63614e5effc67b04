public import OrderedCollections
public import OrderedJSON
public import Sparse
import Tensors

/// What `config.json` says about packed matrices, under ``key``:
///
///     "flash_llm": {
///       "format_version": 1,
///       "matrices": {"model.layers.0.mlp.up_proj.weight":
///         {"format": "tiled-bitmap", "values": "f16", "rows": 1536, "columns": 576, "nonzeros": 176947,
///          "choice": {"bound": "memory", "speed_up": 1.88}},
///        "model.embed_tokens.weight":
///         {"format": "dense", "values": "i8", "group": "128", "rows": 49152, ...}, ...},
///       "checksums": {"model.layers.0.mlp.up_proj.weight.masks": "1a2b3c4d", ...},
///       "profile": {...}
///     }
///
/// A checksum is the CRC-32C of a tensor's bytes; every tensor of the folder has one. A matrix of integers says how
/// many columns share a scale, 32, 64, 128 or all of a "row"; folders with such have version 2, which programs that
/// know nothing of them refuse. `choice` and ``Choice`` say why a matrix has its format, where a cost model chose it.
public struct PackedManifest: Sendable, Equatable {
    public static let key = "flash_llm"
    public static let versions = 1...2

    public struct Matrix: Sendable, Equatable {
        public let format: PackedFormat
        public let values: PackedValues
        public let rows: Int
        public let columns: Int
        public let nonzeroCount: Int
        /// nil if its format was asked for, or is that of the fewest bytes.
        public let reason: ChoiceReason?
    }

    public internal(set) var matrices: OrderedDictionary<String, Matrix> = [:]
    public internal(set) var checksums: OrderedDictionary<String, UInt32> = [:]
    public internal(set) var choice: Choice?

    init() {}

    /// Reads the entry of a configuration; nil if it has none, that is, if the model is not packed.
    /// - Throws: `CheckpointError` naming what is wrong with the entry of the folder at `path`.
    public init?(configuration: JSON, path: String) throws(CheckpointError) {
        guard let section = configuration[Self.key] else { return nil }
        func damaged(_ subject: String, expected: String, found: JSON?) -> CheckpointError {
            CheckpointError(
                .damaged, path: path, subject: "\(subject) in config.json", expected: expected,
                found: found.map { String($0.text().prefix(80)) } ?? "no entry")
        }
        guard let version = section["format_version"]?.intValue, Self.versions.contains(version) else {
            throw CheckpointError(
                .unsupported, path: path, subject: "\(Self.key).format_version in config.json",
                expected: "\(Self.versions.lowerBound) to \(Self.versions.upperBound)",
                found: section["format_version"]?.text() ?? "no entry")
        }
        guard let entries = section["matrices"]?.objectValue else {
            throw damaged("\(Self.key).matrices", expected: "an object", found: section["matrices"])
        }
        for (name, entry) in entries {
            guard let format = entry["format"]?.stringValue.flatMap(PackedFormat.init(rawValue:)),
                let values = Self.values(of: entry, format: format),
                let rows = entry["rows"]?.intValue, rows >= 1, rows <= Int(Int32.max),
                let columns = entry["columns"]?.intValue, columns >= 1, columns <= Int(Int32.max),
                let nonzeroCount = entry["nonzeros"]?.intValue, nonzeroCount >= 0, nonzeroCount <= rows * columns
            else {
                throw damaged(
                    "\(Self.key).matrices, \(name.quoted)",
                    expected: "format, values, rows, columns and nonzeros, and a group for integers", found: entry)
            }
            matrices[name] = Matrix(
                format: format, values: values, rows: rows, columns: columns, nonzeroCount: nonzeroCount,
                reason: ChoiceReason(entry["choice"]))
        }
        choice = Choice(section["profile"])
        guard let sums = section["checksums"]?.objectValue else {
            throw damaged("\(Self.key).checksums", expected: "an object", found: section["checksums"])
        }
        for (name, entry) in sums {
            guard let text = entry.stringValue, text.utf8.count == 8, let checksum = UInt32(text, radix: 16) else {
                throw damaged(
                    "\(Self.key).checksums, \(name.quoted)", expected: "eight hexadecimal digits", found: entry)
            }
            checksums[name] = checksum
        }
    }

    /// What an entry says about a matrix's values; nil if that is impossible.
    private static func values(of entry: JSON, format: PackedFormat) -> PackedValues? {
        guard let name = entry["values"]?.stringValue else { return nil }
        if let coding = QuantizedCoding(rawValue: name) {
            guard format.holdsIntegers, let group = entry["group"]?.stringValue.flatMap(ScaleGroup.init(rawValue:))
            else { return nil }
            return .integers(coding, group)
        }
        guard let type = ElementType(rawValue: name), [.f16, .bf16, .f32].contains(type),
            format == .dense || type != .f32
        else { return nil }
        return .elements(type)
    }

    /// The entry for config.json.
    var json: JSON {
        var usesIntegers = false
        let entries = matrices.mapValues { matrix -> JSON in
            var members: OrderedDictionary<String, JSON> = [
                "format": .string(matrix.format.rawValue), "values": .string(matrix.values.name),
            ]
            if let group = matrix.values.group {
                members["group"] = .string(group.rawValue)
                usesIntegers = true
            }
            members["rows"] = .integer(matrix.rows)
            members["columns"] = .integer(matrix.columns)
            members["nonzeros"] = .integer(matrix.nonzeroCount)
            if let reason = matrix.reason { members["choice"] = reason.json }
            return .object(members)
        }
        let sums = checksums.mapValues { JSON.string($0.eightDigits) }
        var section: OrderedDictionary<String, JSON> = [
            "format_version": .integer(usesIntegers ? 2 : 1), "matrices": .object(entries), "checksums": .object(sums),
        ]
        if let choice { section["profile"] = choice.json }
        return .object(section)
    }
}

extension UInt32 {
    /// Hexadecimal, as checksums are written.
    var eightDigits: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

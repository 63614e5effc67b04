public import OrderedCollections
public import OrderedJSON
public import Sparse
public import Tensors

/// What `config.json` says about packed matrices, under ``key``:
///
///     "flash_llm": {
///       "format_version": 1,
///       "matrices": {"model.layers.0.mlp.up_proj.weight":
///         {"format": "tiled-bitmap", "values": "f16", "rows": 1536, "columns": 576, "nonzeros": 176947}, ...},
///       "checksums": {"model.layers.0.mlp.up_proj.weight.masks": "1a2b3c4d", ...}
///     }
///
/// A checksum is the CRC-32C of a tensor's bytes; every tensor of the folder has one.
public struct PackedManifest: Sendable, Equatable {
    public static let key = "flash_llm"
    public static let version = 1

    public struct Matrix: Sendable, Equatable {
        public let format: PackedFormat
        public let valueType: ElementType
        public let rows: Int
        public let columns: Int
        public let nonzeroCount: Int
    }

    public internal(set) var matrices: OrderedDictionary<String, Matrix> = [:]
    public internal(set) var checksums: OrderedDictionary<String, UInt32> = [:]

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
        guard section["format_version"]?.intValue == Self.version else {
            throw CheckpointError(
                .unsupported, path: path, subject: "\(Self.key).format_version in config.json",
                expected: "\(Self.version)", found: section["format_version"]?.text() ?? "no entry")
        }
        guard let entries = section["matrices"]?.objectValue else {
            throw damaged("\(Self.key).matrices", expected: "an object", found: section["matrices"])
        }
        for (name, entry) in entries {
            guard let format = entry["format"]?.stringValue.flatMap(PackedFormat.init(rawValue:)),
                let valueType = entry["values"]?.stringValue.flatMap(ElementType.init(rawValue:)),
                [.f16, .bf16, .f32].contains(valueType), format == .dense || valueType != .f32,
                let rows = entry["rows"]?.intValue, rows >= 1, rows <= Int(Int32.max),
                let columns = entry["columns"]?.intValue, columns >= 1, columns <= Int(Int32.max),
                let nonzeroCount = entry["nonzeros"]?.intValue, nonzeroCount >= 0, nonzeroCount <= rows * columns
            else {
                throw damaged(
                    "\(Self.key).matrices, \(name.quoted)", expected: "format, values, rows, columns and nonzeros",
                    found: entry)
            }
            matrices[name] = Matrix(
                format: format, valueType: valueType, rows: rows, columns: columns, nonzeroCount: nonzeroCount)
        }
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

    /// The entry for config.json.
    var json: JSON {
        let entries = matrices.mapValues { matrix -> JSON in
            [
                "format": .string(matrix.format.rawValue), "values": .string(matrix.valueType.rawValue),
                "rows": .integer(matrix.rows), "columns": .integer(matrix.columns),
                "nonzeros": .integer(matrix.nonzeroCount),
            ]
        }
        let sums = checksums.mapValues { JSON.string($0.eightDigits) }
        return [
            "format_version": .integer(Self.version), "matrices": .object(entries), "checksums": .object(sums),
        ]
    }
}

extension UInt32 {
    /// Hexadecimal, as checksums are written.
    var eightDigits: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

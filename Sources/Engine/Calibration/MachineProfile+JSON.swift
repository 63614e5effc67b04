public import OrderedJSON
public import Sparse

/// Profiles as files:
///
///     {"format_version": 1, "processor": "AMD EPYC 9B14", "instruction_set": "avx2", "threads": 2,
///      "kernel_version": 1, "bytes_per_second": 23400000000,
///      "kernels": [
///        {"format": "tiled-bitmap", "values": "f16", "densities": [0.02, 0.05], "tokens": [1, 4],
///         "weights_per_second": [[9100000000, 8000000000], [8800000000, 7900000000]]}, ...]}
///
/// A row of speeds belongs to a density, its numbers to the tokens. Unknown members are ignored.
extension MachineProfile {
    static let formatVersion = 1
    /// Bytes of a file; a real one has some 10 kB.
    public static let fileByteLimit = 1 << 20

    /// Reads a profile's text, in which every byte may be wrong.
    /// - Throws: ``ProfileError`` naming what is wrong; also for a profile that another version of the kernels made.
    public init(parsing text: [UInt8]) throws(ProfileError) {
        guard text.count <= Self.fileByteLimit else {
            throw ProfileError("size", expected: "at most \(Self.fileByteLimit) bytes", found: "\(text.count)")
        }
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: text) } catch {
            throw ProfileError("text", expected: "JSON", found: error.description)
        }
        guard json["format_version"]?.intValue == Self.formatVersion else {
            throw Self.error("format_version", "\(Self.formatVersion)", json["format_version"])
        }
        guard json["kernel_version"]?.intValue == Self.kernelVersion else {
            throw Self.error("kernel_version", "\(Self.kernelVersion)", json["kernel_version"])
        }
        let machine = try Machine(
            processor: try Self.text("processor", in: json),
            instructionSet: try Self.text("instruction_set", in: json), threads: try Self.threads(in: json))
        guard let bandwidth = json["bytes_per_second"]?.doubleValue else {
            throw Self.error("bytes_per_second", "a number", json["bytes_per_second"])
        }
        guard let entries = json["kernels"]?.arrayValue, entries.count <= 2 * ProductKind.all.count else {
            throw Self.error("kernels", "an array with one entry for each kind of product", json["kernels"])
        }
        let kernels = try entries.map { entry throws(ProfileError) in try KernelSpeed(entry) }
        try self.init(machine: machine, bytesPerSecond: bandwidth, kernels: kernels)
    }

    public var json: JSON {
        [
            "format_version": .integer(Self.formatVersion), "processor": .string(machine.processor),
            "instruction_set": .string(machine.instructionSet), "threads": .integer(machine.threads),
            "kernel_version": .integer(machine.kernelVersion), "bytes_per_second": .number(bytesPerSecond),
            "kernels": .array(kernels.map(\.json)),
        ]
    }

    private static func text(_ key: String, in json: JSON) throws(ProfileError) -> String {
        guard let text = json[key]?.stringValue else { throw error(key, "a string", json[key]) }
        return text
    }

    private static func threads(in json: JSON) throws(ProfileError) -> Int {
        guard let threads = json["threads"]?.intValue else { throw error("threads", "an integer", json["threads"]) }
        return threads
    }

    fileprivate static func error(_ subject: String, _ expected: String, _ found: JSON?) -> ProfileError {
        ProfileError(subject, expected: expected, found: found.map { $0.text() } ?? "no entry")
    }
}

extension KernelSpeed {
    fileprivate init(_ entry: JSON) throws(ProfileError) {
        let coding = entry["values"]?.stringValue
        guard let format = entry["format"]?.stringValue.flatMap(PackedFormat.init(rawValue:)),
            coding == "f16" || (format.holdsIntegers && coding.flatMap(QuantizedCoding.init(rawValue:)) != nil)
        else { throw MachineProfile.error("format and values of a kernel", "a known kind of product", entry) }
        func numbers<Number>(
            _ key: String, _ value: (JSON) -> Number?, in json: JSON?
        ) throws(ProfileError) -> [Number] {
            let numbers = json?.arrayValue?.map(value)
            guard let numbers, !numbers.contains(where: { $0 == nil }) else {
                throw MachineProfile.error("\(key) of \(format.rawValue)", "an array of numbers", json)
            }
            return numbers.compactMap(\.self)
        }
        let rows = try (entry["weights_per_second"]?.arrayValue ?? []).map { row throws(ProfileError) in
            try numbers("weights_per_second", \.doubleValue, in: row)
        }
        try self.init(
            kind: ProductKind(format: format, coding: coding.flatMap(QuantizedCoding.init(rawValue:))),
            densities: try numbers("densities", \.doubleValue, in: entry["densities"]),
            tokens: try numbers("tokens", \.intValue, in: entry["tokens"]), weightsPerSecond: rows)
    }

    fileprivate var json: JSON {
        [
            "format": .string(kind.format.rawValue), "values": .string(kind.valuesName),
            "densities": .array(densities.map(JSON.number)), "tokens": .array(tokens.map(JSON.integer)),
            "weights_per_second": .array(weightsPerSecond.map { .array($0.map(JSON.number)) }),
        ]
    }
}

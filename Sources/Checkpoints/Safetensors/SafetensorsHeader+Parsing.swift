import OrderedCollections
import OrderedJSON
import Tensors

extension SafetensorsHeader {
    /// Parses the header in `bytes`, the whole file at `path`.
    init(parsing bytes: Storage<UInt8>, path: String) throws(CheckpointError) {
        let parser = Parser(path: path)
        guard bytes.count >= 8 else {
            throw parser.damaged(
                "the file", expected: "at least 8 bytes of a safetensors file",
                found: bytes.count == 0 ? "no bytes" : "\(bytes.count)")
        }
        let length = UInt64(littleEndian: UnsafeRawPointer(bytes.pointer).loadUnaligned(as: UInt64.self))
        guard length <= UInt64(SafetensorsHeader.maximumByteCount) else {
            throw parser.damaged(
                "the header's length", expected: "at most \(SafetensorsHeader.maximumByteCount) bytes",
                found: "\(length)")
        }
        let dataStart = 8 + Int(length)
        guard dataStart <= bytes.count else {
            throw parser.damaged(
                "the header", expected: "\(length) bytes", found: "a file that ends after \(bytes.count - 8) of them")
        }
        let text = bytes[8..<dataStart]
        let members = try parser.members(of: text)
        var found: [SafetensorsTensor] = []
        for (name, value) in members {
            if name == SafetensorsHeader.metadataKey {
                metadata = try parser.metadata(value)
            } else {
                found.append(try parser.tensor(name, value, dataStart: dataStart, fileEnd: bytes.count))
            }
        }
        try place(&found, dataStart: dataStart, fileEnd: bytes.count, parser)
    }

    /// Checks that the tensors follow each other without holes or overlaps up to the end of the file.
    private mutating func place(
        _ found: inout [SafetensorsTensor], dataStart: Int, fileEnd: Int, _ parser: Parser
    ) throws(CheckpointError) {
        found.sort { left, right in
            (left.byteRange.lowerBound, left.byteRange.upperBound)
                < (right.byteRange.lowerBound, right.byteRange.upperBound)
        }
        var end = dataStart
        for tensor in found {
            guard tensor.byteRange.lowerBound == end else {
                throw parser.damaged(
                    "tensor \(tensor.name.quoted)",
                    expected: "data that begins at offset \(end - dataStart), where the tensor before it ends",
                    found: "offset \(tensor.byteRange.lowerBound - dataStart)")
            }
            end = tensor.byteRange.upperBound
            tensors[tensor.name] = tensor
        }
        guard end == fileEnd else {
            throw parser.damaged(
                "the data", expected: "\(end - dataStart) bytes as the header says", found: "\(fileEnd - dataStart)")
        }
    }
}

private struct Parser {
    let path: String

    func damaged(_ subject: String, expected: String, found: String) -> CheckpointError {
        CheckpointError(.damaged, path: path, subject: subject, expected: expected, found: found)
    }

    func members(of text: Storage<UInt8>) throws(CheckpointError) -> OrderedDictionary<String, JSON> {
        guard text.count > 0, text[0] == UInt8(ascii: "{") else {
            throw damaged("the header", expected: "a JSON object", found: "something else")
        }
        do throws(JSONError) {
            let value = try JSON(parsing: UnsafeRawBufferPointer(text.buffer))
            return value.objectValue!  // the first byte opens an object
        } catch {
            throw damaged("the header", expected: "a JSON object", found: error.description)
        }
    }

    func metadata(_ value: JSON) throws(CheckpointError) -> OrderedDictionary<String, String> {
        guard let members = value.objectValue else {
            throw damaged("the header's metadata", expected: "an object", found: value.kindName)
        }
        var metadata: OrderedDictionary<String, String> = [:]
        for (key, value) in members {
            guard let text = value.stringValue else {
                throw damaged("the header's metadata \(key.quoted)", expected: "a string", found: value.kindName)
            }
            metadata[key] = text
        }
        return metadata
    }

    func tensor(
        _ name: String, _ value: JSON, dataStart: Int, fileEnd: Int
    ) throws(CheckpointError) -> SafetensorsTensor {
        let subject = "tensor \(name.quoted)"
        guard let typeName = value["dtype"]?.stringValue else {
            throw damaged(subject, expected: "a dtype", found: value["dtype"]?.kindName ?? "none")
        }
        guard let encoding = SafetensorsHeader.encodings[typeName] else {
            throw CheckpointError(
                .unsupported, path: path, subject: subject, expected: "a known dtype", found: typeName.quoted)
        }
        let shape = try sizes(value["shape"], "a shape", of: subject)
        guard shape.count <= SafetensorsHeader.maximumRank else {
            throw damaged(
                subject, expected: "at most \(SafetensorsHeader.maximumRank) dimensions", found: "\(shape.count)")
        }
        guard let elementCount = overflowSafeProduct(shape),
            let byteCount = encoding.byteCount(elementCount: elementCount)
        else {
            throw damaged(subject, expected: "fewer than 2^63 bytes in whole elements", found: "the shape \(shape)")
        }
        let offsets = try sizes(value["data_offsets"], "data_offsets", of: subject)
        guard offsets.count == 2, offsets[0] <= offsets[1], offsets[1] <= fileEnd - dataStart else {
            throw damaged(
                subject, expected: "data_offsets [begin, end] inside \(fileEnd - dataStart) bytes of data",
                found: "\(offsets.prefix(4))")
        }
        guard offsets[1] - offsets[0] == byteCount else {
            throw damaged(
                subject, expected: "\(byteCount) bytes for \(typeName) \(shape)", found: "\(offsets[1] - offsets[0])")
        }
        return SafetensorsTensor(
            name: name, shape: shape, encoding: encoding, byteRange: dataStart + offsets[0]..<dataStart + offsets[1])
    }

    private func sizes(_ value: JSON?, _ what: String, of subject: String) throws(CheckpointError) -> [Int] {
        guard let values = value?.arrayValue else {
            throw damaged(subject, expected: "\(what) that is an array", found: value?.kindName ?? "none")
        }
        var sizes: [Int] = []
        for value in values {
            guard case .integer(let size) = value, size >= 0 else {
                throw damaged(
                    subject, expected: "\(what) of integers from 0 to 2^63 - 1", found: String(value.text().prefix(40)))
            }
            sizes.append(size)
        }
        return sizes
    }
}

import OrderedCollections
import OrderedJSON
import Testing

@testable import Checkpoints

/// A file of compressed-tensors and the dense tensors that it was made of; see scripts/make-compressed-tensors-vectors.
struct CompressedVector: Sendable, CustomTestStringConvertible {
    struct Dense: Sendable {
        let type: WeightType
        let shape: [Int]
        /// Little-endian elements.
        let bytes: [UInt8]
    }

    let name: String
    let configuration: JSON
    let file: [UInt8]
    let tensors: OrderedDictionary<String, Dense>

    var testDescription: String { name }

    static let all: [CompressedVector] = {
        let path = FileSystem.split(FileSystem.split(#filePath).folder).folder + "/Fixtures/compressed-tensors.json"
        let file = try! FileSystem.map(path)
        let entries = try! withExtendedLifetime(file) {
            try JSON(parsing: UnsafeRawBufferPointer(file.bytes.buffer)).arrayValue!
        }
        return entries.map { entry in
            CompressedVector(
                name: entry["name"]!.stringValue!, configuration: entry["configuration"]!,
                file: hexadecimal(entry["file"]!.stringValue!),
                tensors: entry["tensors"]!.objectValue!.mapValues { tensor in
                    let types: [String: WeightType] = ["float16": .f16, "bfloat16": .bf16, "float32": .f32]
                    return Dense(
                        type: types[tensor["type"]!.stringValue!]!,
                        shape: tensor["shape"]!.arrayValue!.map { $0.intValue! },
                        bytes: hexadecimal(tensor["bits"]!.stringValue!))
                })
        }
    }()

    private static func hexadecimal(_ text: String) -> [UInt8] {
        let digits = Array(text.utf8)
        return stride(from: 0, to: digits.count, by: 2).map { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)!
        }
    }

    func write(to folder: TemporaryFolder, file changed: [UInt8]? = nil) {
        folder.write(configuration.text(), to: "config.json")
        folder.write(changed ?? file, to: "model.safetensors")
    }
}

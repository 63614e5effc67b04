import Tensors
import Testing

@testable import Checkpoints

@Suite struct SafetensorsFileTests {
    private func parse(_ bytes: [UInt8]) throws(CheckpointError) -> SafetensorsHeader {
        try SafetensorsHeader(parsing: Storage(bytes), path: "model.safetensors")
    }

    @Test func readsTensorsInTheOrderOfTheirBytes() throws {
        let header = """
            {"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},\
            "a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},\
            "e":{"dtype":"I64","shape":[3,0],"data_offsets":[12,12]},\
            "s":{"dtype":"BOOL","shape":[],"data_offsets":[12,13]},\
            "f":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[13,16]}}
            """
        let folder = TemporaryFolder()
        let data = (0..<16).map(UInt8.init)
        let file = try SafetensorsFile(path: folder.write(safetensors(header + "   ", data: data), to: "model"))
        #expect(file.metadata == ["format": "pt"])
        #expect(Array(file.tensors.keys) == ["a", "b", "e", "s", "f"])
        #expect(file.tensors["a"]?.shape == [1, 2] && file.tensors["s"]?.shape == [])
        #expect(file.bytes(of: file.tensors["b"]!).array == [8, 9, 10, 11])
        #expect(file.tensors["f"]?.encoding.isReadable == false)
        #expect(try parse(safetensors("{}")).tensors.isEmpty)
    }

    @Test func knowsEveryElementType() throws {
        let sizes = [
            "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4,
            "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
        ]
        for (name, size) in sizes {
            let header = #"{"a":{"dtype":"\#(name)","shape":[3],"data_offsets":[0,\#(3 * size)]}}"#
            let bytes = safetensors(header, data: [UInt8](repeating: 0, count: 3 * size))
            #expect(try parse(bytes).tensors["a"]?.encoding.name == name)
        }
    }

    /// Headers that are wrong for four bytes of data, and words that the error must have.
    @Test(arguments: [
        ("", "the header: expected a JSON object"),
        ("[]", "the header: expected a JSON object"),
        (" {}", "the header: expected a JSON object"),
        ("{", "invalid JSON at byte 1"),
        (#"{"a":1,"a":2}"#, "the key \"a\" occurs twice"),
        (#"{"a":1}"#, "tensor \"a\": expected a dtype, found none"),
        (#"{"__metadata__":[]}"#, "the header's metadata: expected an object, found an array"),
        (#"{"__metadata__":{"a":1}}"#, "the header's metadata \"a\": expected a string, found an integer"),
        (#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, "expected a known dtype, found \"F31\""),
        (#"{"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}}"#, "expected a dtype, found an integer"),
        (#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, "expected a shape that is an array, found none"),
        (
            #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
            "a shape of integers from 0 to 2^63 - 1, found -1"
        ),
        (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, "a shape of integers"),
        (#"{"a":{"dtype":"F32","shape":[1e300],"data_offsets":[0,4]}}"#, "a shape of integers"),
        (#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}"#, "at most 8 dimensions, found 9"),
        (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#, "fewer than 2^63 bytes"),
        (#"{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,4]}}"#, "fewer than 2^63 bytes"),
        // The zero hides an overflow of the rest.
        (#"{"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}"#, "fewer than 2^63 bytes"),
        (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}"#, "fewer than 2^63 bytes"),
        (#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,4]}}"#, "in whole elements, found the shape [3]"),
        (#"{"a":{"dtype":"F32","shape":[1]}}"#, "expected data_offsets that is an array, found none"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, "expected data_offsets [begin, end]"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, "expected data_offsets [begin, end]"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, "inside 4 bytes of data, found [4, 8]"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}"#, "inside 4 bytes of data"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, "expected 8 bytes for F32 [2], found 4"),
        (
            #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
            "the data: expected 2 bytes as the header says, found 4"
        ),
        (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#, "data that begins at offset 0"),
        (
            #"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"#
                + #""b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#,
            "tensor \"b\": expected data that begins at offset 3, where the tensor before it ends, found offset 2"
        ),
        ("{}", "the data: expected 0 bytes"),
    ])
    func refuses(header: String, sentence: String) throws {
        let error = try #require(checkpointError { try parse(safetensors(header, data: [0, 0, 0, 0])) })
        #expect(error.description.contains(sentence), "\(error)")
        #expect(error.description.hasPrefix("model.safetensors: "))
    }

    @Test func refusesWrongLengths() throws {
        func sentence(_ bytes: [UInt8]) throws -> String {
            try #require(checkpointError { try parse(bytes) }).description
        }
        #expect(try sentence([]).contains("found no bytes"))
        #expect(try sentence([1, 2, 3]).contains("found 3"))
        #expect(try sentence(safetensors("{}", length: .max)).contains("expected at most 100000000 bytes"))
        #expect(try sentence(safetensors("{}", length: 3)).contains("expected 3 bytes, found a file that ends after 2"))
    }

    @Test func refusesEveryTruncation() {
        let header = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
        let bytes = safetensors(header, data: [UInt8](repeating: 0, count: 8))
        for count in 0..<bytes.count {
            #expect(checkpointError { try parse(Array(bytes[..<count])) }?.kind == .damaged)
        }
    }
}

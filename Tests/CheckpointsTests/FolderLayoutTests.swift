import OrderedJSON
import Tensors
import TestSupport
import Testing

@testable import Checkpoints

/// Fused and transposed tensors come as plain matrices, whatever type they are stored in.
@Suite struct FolderLayoutTests {
    private let folder = TemporaryFolder()

    private func open(
        _ configuration: String, _ tensors: [(name: String, shape: [Int], values: [Float])],
        type: WeightType = .f32
    ) throws -> Checkpoint {
        let writer = try SafetensorsWriter(path: folder.path + "/model.safetensors", names: tensors.map(\.name))
        for (name, shape, values) in tensors {
            let bytes = AlignedBuffer<UInt8>(uninitializedCount: values.count * type.byteCount)
            values.withUnsafeBufferPointer {
                _ = type.narrow($0, into: UnsafeMutableRawBufferPointer(bytes.elements))
            }
            _ = try writer.append(
                name, type: type.elementType, shape: shape, bytes: UnsafeRawBufferPointer(bytes.elements))
        }
        try writer.finish()
        folder.write(configuration, to: "config.json")
        return try Checkpoint.open(path: folder.path)
    }

    /// Small integers, which every type holds.
    private func values(_ count: Int) -> [Float] { (0..<count).map { Float($0 % 251) } }

    @Test(arguments: WeightType.allCases) func turnsGPT2sMatrices(type: WeightType) throws {
        let (width, columns) = (6, 5)
        let fused = values(columns * 3 * width)
        let bias = values(3 * width)
        let checkpoint = try open(
            #"{"model_type":"gpt2"}"#,
            [
                ("h.0.attn.c_attn.weight", [columns, 3 * width], fused), ("h.0.attn.c_attn.bias", [3 * width], bias),
                ("h.0.attn.bias", [1, 1, 2, 2], [1, 0, 1, 1]), ("wte.weight", [2, 3], values(6)),
                ("lm_head.weight", [2, 3], values(6)), ("h.x.attn.c_attn.weight", [2, 3], values(6)),
            ], type: type)
        for (part, name) in ["q_proj", "k_proj", "v_proj"].enumerated() {
            let weight = "transformer.h.0.attn.\(name).weight"
            let expected = (0..<width).flatMap { row in
                (0..<columns).map { fused[$0 * 3 * width + part * width + row] }
            }
            #expect(checkpoint[weight]?.shape == [width, columns])
            #expect(checkpoint[weight]?.byteCount == width * columns * type.byteCount)
            #expect(try checkpoint.floats(weight) == expected)
            #expect(try checkpoint.floats(weight, rows: 2..<5) == Array(expected[2 * columns..<5 * columns]))
            // The file has another order, so nothing is handed out as it lies there.
            let elements = try checkpoint.elements(weight, as: type, pool: WorkerPool(threadCount: 2))
            let widened = AlignedBuffer<Float>(repeating: 0, count: width * columns)
            #expect(type.widen(elements, into: widened.elements) && Array(widened.elements) == expected)
            try checkpoint.checkFinite(weight)
            let vector = "transformer.h.0.attn.\(name).bias"
            #expect(try checkpoint.floats(vector) == Array(bias[part * width..<(part + 1) * width]))
        }
        let others = ["transformer.wte.weight", "lm_head.weight", "transformer.h.x.attn.c_attn.weight"]
        #expect(checkpoint.tensors.count == 6 + others.count)
        for name in others { #expect(checkpoint[name]?.shape == [2, 3], "\(name)") }
    }

    @Test func namesTheElementOfATurnedMatrixThatIsNotFinite() throws {
        var fused = values(4 * 6)
        fused[2 * 6 + 3] = .infinity
        let checkpoint = try open(
            #"{"model_type":"gpt2"}"#, [("h.0.attn.c_attn.weight", [4, 6], fused)])
        _ = try checkpoint.floats("transformer.h.0.attn.q_proj.weight")
        let name = "transformer.h.0.attn.k_proj.weight"
        for check in [{ _ = try checkpoint.floats(name) }, { try checkpoint.checkFinite(name) }] as [() throws -> Void]
        {
            let error = #expect(throws: CheckpointError.self, performing: check)
            #expect(error?.subject == "tensor \"\(name)\", row 1, column 2" && error?.kind == .notFinite)
        }
    }

    @Test func cutsPhi3sRows() throws {
        let fused = values(8 * 3)
        let checkpoint = try open(
            #"{"model_type":"phi3","num_attention_heads":2,"num_key_value_heads":1}"#,
            [
                ("layers.1.self_attn.qkv_proj.weight", [8, 3], fused),
                ("model.layers.1.mlp.gate_up_proj.weight", [8, 3], fused),
            ])
        let rows = [
            "self_attn.q_proj": 0..<4, "self_attn.k_proj": 4..<6, "self_attn.v_proj": 6..<8, "mlp.gate_proj": 0..<4,
            "mlp.up_proj": 4..<8,
        ]
        for (name, rows) in rows {
            let name = "model.layers.1.\(name).weight"
            #expect(try checkpoint.floats(name) == Array(fused[rows.lowerBound * 3..<rows.upperBound * 3]))
            // Rows that lie behind each other need no copy.
            let mapped: Storage<Float>? = try checkpoint.mappedElements(name, stored: .f32)
            #expect(mapped.map(Array.init) == Array(fused[rows.lowerBound * 3..<rows.upperBound * 3]))
        }
        #expect(checkpoint.tensors.count == rows.count)
    }

    @Test func refusesWhatCannotBeCut() throws {
        let heads = #"{"model_type":"phi3","num_attention_heads":4,"num_key_value_heads":2}"#
        let cases: [(configuration: String, name: String, shape: [Int], expected: String)] = [
            (heads, "model.layers.0.self_attn.qkv_proj.weight", [9, 2], "a multiple of 8 rows in 3 parts"),
            (heads, "model.layers.0.mlp.gate_up_proj.weight", [3, 6], "a multiple of 2 rows in 2 parts"),
            (heads, "model.layers.0.mlp.gate_up_proj.weight", [2, 3, 3], "a matrix or a vector"),
            (#"{"model_type":"gpt2"}"#, "h.0.attn.c_attn.weight", [3, 7], "a multiple of 3 rows in 3 parts"),
            (#"{"model_type":"gpt2"}"#, "h.0.mlp.c_fc.weight", [18], "a matrix"),
        ]
        for (configuration, name, shape, expected) in cases {
            let tensors = [(name: name, shape: shape, values: values(shape.reduce(1, *)))]
            let error = try #require(checkpointError { try open(configuration, tensors) })
            #expect(error.expected == expected && error.kind == .damaged)
            #expect(error.subject == "tensor \"\(name)\"" && error.found == "shape \(shape) of F32")
        }
    }

    @Test func refusesTwoTensorsOfOneName() throws {
        let error = try #require(
            checkpointError {
                try open(
                    #"{"model_type":"opt"}"#,
                    [
                        ("decoder.layers.0.fc1.weight", [2, 2], values(4)),
                        ("model.decoder.layers.0.fc1.weight", [2, 2], values(4)),
                    ])
            })
        #expect(error.expected == "a name of its own" && error.kind == .damaged)
    }
}

import CUDA
import CUDAEmulator
import CUDAKernels
import GPUCases
import Tensors
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Embedding, norm, activation, residual sum and greedy choice, against double precision.
@Suite struct StepTests {
    static let types = [ElementType.f16, .bf16]
    static let widths = [1, 2, 7, 8, 9, 64, 255, 256, 257, 600]

    @Test(arguments: types) func embeddingsAreRowsOfTheTable(type: ElementType) throws {
        try TestedGPU.run { gpu in
            let steps = try DecoderSteps(gpu.library, valueType: type)
            for width in Self.widths {
                let elements = Numbers.floats(5 * width, seed: UInt64(width)).map { Numbers.bits($0, type) }
                let table = try DeviceMatrix(
                    denseRows: 5, columns: width, elements: Storage(elements), valueType: type, on: gpu.stream)
                let ids: [Int32] = [4, 0, 2, 2]
                let tokens = try DeviceBuffer(ids, on: gpu.stream)
                let hidden = try DeviceBuffer.poisoned(Float.self, count: 4 * width, on: gpu.stream)
                try steps.enqueueEmbedding(
                    table, places: tokens.address, count: 4, hidden: hidden.address, on: gpu.stream)
                let found = try hidden.read(Float.self, count: 4 * width, on: gpu.stream).map(Double.init)
                let expected = ids.flatMap { id in
                    elements[Int(id) * width..<(Int(id) + 1) * width].map { Numbers.value($0, type) }
                }
                #expect(found == expected, "width \(width)")
                // Further rows are added, as learned positions are.
                try steps.enqueueEmbedding(
                    table, places: tokens.address, firstRow: 0, count: 4, adds: true, hidden: hidden.address,
                    on: gpu.stream)
                let positions = try DeviceBuffer([0, 1, 2, 1] as [Int32], on: gpu.stream)
                try steps.enqueueEmbedding(
                    table, places: positions.address, firstRow: 2, count: 4, adds: true, hidden: hidden.address,
                    on: gpu.stream)
                let sums = try hidden.read(Float.self, count: 4 * width, on: gpu.stream)
                let rows = elements.map { Float(Numbers.value($0, type)) }
                #expect(
                    sums.indices.allSatisfy { index in
                        let (token, column) = index.quotientAndRemainder(dividingBy: width)
                        let row = rows[Int(ids[token]) * width + column]
                        return sums[index] == row + row + rows[(2 + [0, 1, 2, 1][token]) * width + column]
                    }, "width \(width)")
                try steps.enqueueEmbedding(
                    table, places: tokens.address, count: 4, scale: 3, hidden: hidden.address, on: gpu.stream)
                let scaled = try hidden.read(Float.self, count: 4 * width, on: gpu.stream)
                #expect(zip(scaled, expected).allSatisfy { $0 == 3 * Float($1) }, "scaled, width \(width)")
            }
        }
    }

    private static func norm(
        _ input: [Float], _ weight: [Float], width: Int, epsilon: Float, places: [Int]
    ) -> [Double] {
        places.flatMap { place -> [Double] in
            let row = input[place * width..<(place + 1) * width].map(Double.init)
            let squares = row.reduce(0) { $0 + $1 * $1 }
            let factor = 1 / (squares / Double(width) + Double(epsilon)).squareRoot()
            return zip(row, weight).map { $0 * factor * Double($1) }
        }
    }

    @Test(arguments: types, [nil, [3], [2, 0, 3, 3, 1]] as [[Int32]?])
    func normsMatchTheReference(type: ElementType, places: [Int32]?) throws {
        try TestedGPU.run(on: .emulator(seed: 3)) { gpu in
            let steps = try DecoderSteps(gpu.library, valueType: type)
            for width in Self.widths {
                let stride = (width + 7) / 8 * 8
                let input = Numbers.floats(4 * width, in: -30...30, seed: 1), weight = Numbers.floats(width, seed: 2)
                let rows = places ?? [0, 1, 2, 3]
                let (x, w) = (try DeviceBuffer(input, on: gpu.stream), try DeviceBuffer(weight, on: gpu.stream))
                let places = try places.map { try DeviceBuffer($0, on: gpu.stream) }
                let output = try DeviceBuffer.poisoned(UInt16.self, count: rows.count * stride, on: gpu.stream)
                try steps.enqueueNorm(
                    DecoderSteps.Norm(kind: .rootMeanSquare, weight: w.address, epsilon: 1e-5), input: x.address,
                    width: width, places: places?.address, count: rows.count, output: output.address,
                    outputStride: stride, on: gpu.stream)
                let found = try output.read(UInt16.self, count: rows.count * stride, on: gpu.stream)
                let expected = Self.norm(input, weight, width: width, epsilon: 1e-5, places: rows.map(Int.init))
                let inside = found.indices.filter { $0 % stride < width }.map { Numbers.value(found[$0], type) }
                let error = Numbers.largestError(inside, expected) { abs($1) * Numbers.rounding(type) * 1.01 + 1e-7 }
                #expect(error <= 1, "width \(width)")
                #expect(found.indices.allSatisfy { $0 % stride < width || found[$0] == 0 }, "filling of \(width)")
            }
        }
    }

    /// Norms that stand before a product, and add the bias of what comes next to the stream; norms that stand behind,
    /// and take the stream's place; both kinds of norm and none.
    @Test(arguments: types, [false, true]) func normsChangeTheStream(type: ElementType, standsBehind: Bool) throws {
        try TestedGPU.run(on: .emulator(seed: 4)) { gpu in
            let steps = try DecoderSteps(gpu.library, valueType: type)
            for (width, hasAddend) in Self.widths.map({ ($0, true) }) + [(64, false)] {
                for kind in [nil, .rootMeanSquare, .layer] as [DecoderSteps.Norm.Kind?] {
                    let (rows, stride) = (3, (width + 7) / 8 * 8)
                    // Far from zero, so that a sum of squares in place of one around the mean would show.
                    let input = Numbers.floats(rows * width, in: 20...30, seed: UInt64(width))
                    let weight = Numbers.floats(width, seed: 2), bias = Numbers.floats(width, seed: 3)
                    let addend = hasAddend ? Numbers.floats(width, seed: 4) : [Float](repeating: 0, count: width)
                    let x = try DeviceBuffer(input, on: gpu.stream), w = try DeviceBuffer(weight, on: gpu.stream)
                    let b = try DeviceBuffer(bias, on: gpu.stream), a = try DeviceBuffer(addend, on: gpu.stream)
                    let output = try DeviceBuffer.poisoned(UInt16.self, count: rows * stride, on: gpu.stream)
                    let norm = kind.map {
                        DecoderSteps.Norm(kind: $0, weight: w.address, bias: b.address, epsilon: 1e-5)
                    }
                    try steps.enqueueNorm(
                        norm, input: x.address, width: width, addend: hasAddend ? a.address : nil,
                        standsBehind: standsBehind, count: rows, output: output.address, outputStride: stride,
                        on: gpu.stream)
                    let found = try output.read(UInt16.self, count: rows * stride, on: gpu.stream)
                    let stream = try x.read(Float.self, count: rows * width, on: gpu.stream).map(Double.init)
                    var expected: [Double] = []
                    var expectedStream: [Double] = []
                    for row in 0..<rows {
                        let given = input[row * width..<(row + 1) * width].map(Double.init)
                        let added = zip(given, addend).map { $0 + Double($1) }
                        let values = standsBehind ? added : given
                        let result = Self.norm(values, kind, weight, bias)
                        expected += result
                        expectedStream += standsBehind ? result : added
                    }
                    let inside = found.indices.filter { $0 % stride < width }.map { Numbers.value(found[$0], type) }
                    // Float32 differences of numbers around 25, over a deviation as small as the epsilon's.
                    let slack = kind == .layer && width < 3 ? 30 * 0x1p-18 / 3e-3 : 1e-4
                    let error = Numbers.largestError(inside, expected) {
                        abs($1) * Numbers.rounding(type) * 1.01 + slack
                    }
                    #expect(error <= 1, "width \(width), \(String(describing: kind))")
                    let streamError = Numbers.largestError(stream, expectedStream) { abs($1) * 0x1p-22 + slack }
                    #expect(streamError <= 1, "stream, width \(width), \(String(describing: kind))")
                }
            }
        }
    }

    /// Norms of what is added to the stream.
    @Test(arguments: [false, true]) func normsAreAddedToTheStream(hasAddend: Bool) throws {
        try TestedGPU.run(on: .emulator(seed: 5)) { gpu in
            let steps = try DecoderSteps(gpu.library, valueType: .f16)
            for width in Self.widths + [2_050] {
                let input = Numbers.floats(3 * width, in: -30...30, seed: 1), weight = Numbers.floats(width, seed: 2)
                let stream = Numbers.floats(3 * width, in: -9...9, seed: 3)
                let addend = hasAddend ? Numbers.floats(width, seed: 4) : [Float](repeating: 0, count: width)
                let x = try DeviceBuffer(input, on: gpu.stream), w = try DeviceBuffer(weight, on: gpu.stream)
                let a = try DeviceBuffer(addend, on: gpu.stream), sum = try DeviceBuffer(stream, on: gpu.stream)
                try steps.enqueueNorm(
                    DecoderSteps.Norm(kind: .rootMeanSquare, weight: w.address, epsilon: 1e-5), input: x.address,
                    width: width, addend: hasAddend ? a.address : nil, count: 3, addingTo: sum.address, on: gpu.stream)
                let found = try sum.read(Float.self, count: 3 * width, on: gpu.stream).map(Double.init)
                let values = input.indices.map { input[$0] + addend[$0 % width] }
                let normalized = Self.norm(values, weight, width: width, epsilon: 1e-5, places: [0, 1, 2])
                let expected = zip(stream, normalized).map { Double($0) + $1 }
                let error = Numbers.largestError(found, expected) { abs($1) * 0x1p-22 + 4e-6 }
                #expect(error <= 1, "width \(width)")
                #expect(try x.read(Float.self, count: 3 * width, on: gpu.stream) == input, "the input stays")
            }
        }
    }

    private static func norm(
        _ row: [Double], _ kind: DecoderSteps.Norm.Kind?, _ weight: [Float], _ bias: [Float]
    ) -> [Double] {
        guard let kind else { return row }
        let base = kind == .layer ? row.reduce(0, +) / Double(row.count) : 0
        let square = row.reduce(0) { $0 + ($1 - base) * ($1 - base) } / Double(row.count)
        return row.indices.map { index in
            (row[index] - base) / (square + 1e-5).squareRoot() * Double(weight[index]) + Double(bias[index])
        }
    }

    /// Activations without a gate, biases, and a gate's biases.
    @Test(arguments: types, [.gatedSilu, .gatedGeluTanh, .relu, .gelu, .geluTanh] as [DecoderSteps.Activation])
    func activationsMatchTheReference(type: ElementType, activation: DecoderSteps.Activation) throws {
        try TestedGPU.run { gpu in
            let steps = try DecoderSteps(gpu.library, valueType: type)
            for width in Self.widths {
                let (columns, stride) = (activation.parts * width, (width + 7) / 8 * 8)
                var rows = Numbers.floats(3 * columns, in: -9...9, seed: UInt64(width))
                (rows[0], rows[columns]) = (-500, 500)
                let bias = Numbers.floats(columns, seed: 6)
                let input = try DeviceBuffer(rows, on: gpu.stream), b = try DeviceBuffer(bias, on: gpu.stream)
                let output = try DeviceBuffer.poisoned(UInt16.self, count: 3 * stride, on: gpu.stream)
                try steps.enqueueActivation(
                    activation, input: input.address, bias: b.address, width: width, tokens: 3, output: output.address,
                    outputStride: stride, on: gpu.stream)
                let found = try output.read(UInt16.self, count: 3 * stride, on: gpu.stream)
                let expected = (0..<3 * width).map { index -> Double in
                    let (token, column) = index.quotientAndRemainder(dividingBy: width)
                    let first = token * columns + column
                    let x = Double(rows[first]) + Double(bias[column])
                    var up: Double { Double(rows[first + width]) + Double(bias[width + column]) }
                    var geluTanh: Double {
                        x / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
                    }
                    switch activation {
                    case .gatedSilu: return x / (1 + exp(-x)) * up
                    case .gatedGeluTanh: return geluTanh * up
                    case .relu: return max(x, 0)
                    case .gelu: return x / 2 * erfc(-x / 2.0.squareRoot())
                    case .geluTanh: return geluTanh
                    }
                }
                let inside = found.indices.filter { $0 % stride < width }.map { Numbers.value(found[$0], type) }
                let error = Numbers.largestError(inside, expected) { abs($1) * Numbers.rounding(type) * 1.01 + 4e-6 }
                #expect(error <= 1, "width \(width)")
                #expect(found.indices.allSatisfy { $0 % stride < width || found[$0] == 0 }, "filling of \(width)")
            }
        }
    }

    @Test(arguments: types) func gatesMatchTheReference(type: ElementType) throws {
        try TestedGPU.run { gpu in
            let steps = try DecoderSteps(gpu.library, valueType: type)
            for width in Self.widths {
                let stride = (width + 7) / 8 * 8
                var gate = Numbers.floats(3 * width, in: -12...12, seed: 5)
                let up = Numbers.floats(3 * width, in: -2...2, seed: 6)
                // Where the exponential overflows, and where it vanishes.
                (gate[0], gate[width], gate[2 * width]) = (-500, 500, 0)
                let rows = (0..<3).flatMap { token in
                    [gate, up].flatMap { $0[token * width..<(token + 1) * width] }
                }
                let input = try DeviceBuffer(rows, on: gpu.stream)
                let output = try DeviceBuffer.poisoned(UInt16.self, count: 3 * stride, on: gpu.stream)
                try steps.enqueueActivation(
                    .gatedSilu, input: input.address, width: width, tokens: 3, output: output.address,
                    outputStride: stride, on: gpu.stream)
                let found = try output.read(UInt16.self, count: 3 * stride, on: gpu.stream)
                let expected = zip(gate, up).map { Double($0) / (1 + exp(-Double($0))) * Double($1) }
                let inside = found.indices.filter { $0 % stride < width }.map { Numbers.value(found[$0], type) }
                let error = Numbers.largestError(inside, expected) { abs($1) * Numbers.rounding(type) * 1.01 + 1e-7 }
                #expect(error <= 1, "width \(width)")
                #expect(found.indices.allSatisfy { $0 % stride < width || found[$0] == 0 }, "filling of \(width)")
            }
        }
    }

    /// Every element is added to once, by one block and by several.
    @Test(arguments: [1, 3]) func productsAddToTheResidualStream(blocks: Int) throws {
        try TestedGPU.run(on: .emulator(seed: 2)) { gpu in
            var product = ProductCase(rows: 70, columns: 200, tokens: 5, blocks: blocks)
            let plain = try product.result(.dense, on: gpu)
            product.outputType = .addF32
            let added = try product.result(.dense, on: gpu)
            #expect(added == plain.indices.map { plain[$0] + ProductCase.residual($0 / 70, $0 % 70) })
        }
    }

    @Test(arguments: [0, 1, 2] as [UInt64]) func theFirstOfTheLargestIsChosen(seed: UInt64) throws {
        try TestedGPU.run(on: .emulator(seed: seed)) { gpu in
            let steps = try DecoderSteps(gpu.library, valueType: .f16)
            for width in [1, 2, 31, 33, 1023, 1024, 1025, 3000] {
                var rows = (0..<6).map { Numbers.floats(width, seed: seed + UInt64($0)) }
                // Equal ones everywhere; minus infinity everywhere; a NaN; one beside infinities.
                rows[1] = rows[1].map { ($0 * 2).rounded() }
                rows[2] = rows[2].map { _ in -.infinity }
                rows[3][width / 2] = .nan
                rows[4][width - 1] = .infinity
                rows[5] = rows[5].map { _ in -0.0 }
                rows[5][width - 1] = 0
                let input = try DeviceBuffer(rows.flatMap(\.self), on: gpu.stream)
                let output = try DeviceBuffer(byteCount: 24, in: gpu.stream.context)
                try steps.enqueueArgmax(
                    input: input.address, width: width, rows: 6, output: output.address, on: gpu.stream)
                let found = try output.read(Int32.self, count: 6, on: gpu.stream)
                let expected = rows.map { row -> Int32 in
                    guard !row.contains(where: \.isNaN), let largest = row.max(), largest.isFinite else {
                        return DecoderSteps.noToken
                    }
                    return Int32(row.firstIndex(of: largest)!)
                }
                #expect(found == expected, "width \(width)")
            }
        }
    }

    /// Logits are capped in passing.
    @Test(arguments: [1, 1025, 3000]) func choicesAreCapped(width: Int) throws {
        try TestedGPU.run { gpu in
            let steps = try DecoderSteps(gpu.library, valueType: .f16)
            var rows = Numbers.floats(2 * width, in: -40...40, seed: 3)
            rows[width / 2] = 45
            rows[2 * width - 1] = .nan
            let input = try DeviceBuffer(rows, on: gpu.stream)
            let output = try DeviceBuffer(byteCount: 8, in: gpu.stream.context)
            try steps.enqueueArgmax(
                input: input.address, width: width, rows: 2, cap: 30, output: output.address, on: gpu.stream)
            #expect(
                try output.read(Int32.self, count: 2, on: gpu.stream) == [Int32(width / 2), DecoderSteps.noToken])
            let capped = try input.read(Float.self, count: 2 * width, on: gpu.stream).map(Double.init)
            let expected = rows.map { 30 * tanh(Double($0) / 30) }
            #expect(capped.last!.isNaN)
            let error = Numbers.largestError(Array(capped.dropLast()), Array(expected.dropLast())) { _, _ in 1e-5 }
            #expect(error <= 1)
        }
    }
}

import CKernels
import Sparse
import Tensors
import TestSupport

/// A random `[rows, columns]` matrix of 16-bit patterns with about `density` nonzeros.
func randomMatrix(
    rows: Int, columns: Int, density: Double, valueType: ElementType, seed: UInt64
) -> Storage<UInt16> {
    var generator = SplitMix64(seed: seed)
    return Storage(
        (0..<rows * columns).map { _ -> UInt16 in
            guard Double.random(in: 0..<1, using: &generator) < density else { return 0 }
            let value = Float.random(in: 0.01...2, using: &generator) * (Bool.random(using: &generator) ? 1 : -1)
            return valueType == .f16 ? flash_narrow_f16(value) : UInt16(value.bitPattern >> 16)
        })
}

func randomActivations(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
}

/// The same elements in each format that can hold them.
func everyFormat(
    rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType
) throws -> [PackedMatrix] {
    [
        .dense(DenseMatrix(rows: rows, columns: columns, element: valueType, bytes: elements.bytes)),
        .tiledBitmap(try TiledBitmap(rows: rows, columns: columns, elements: elements, valueType: valueType)),
        .slicedEllpack(try SlicedEllpack(rows: rows, columns: columns, elements: elements, valueType: valueType)),
        .tiledCSL(try TiledCSL(rows: rows, columns: columns, elements: elements, valueType: valueType)),
    ]
}

/// The same elements, f16, as integers of every coding, group and kind of positions.
func everyQuantization(rows: Int, columns: Int, elements: Storage<UInt16>) throws -> [QuantizedMatrix] {
    let dense = DenseMatrix(rows: rows, columns: columns, element: .f16, bytes: elements.bytes)
    return try QuantizedCoding.allCases.flatMap { coding in
        try ScaleGroup.allCases.flatMap { group in
            try QuantizedMatrix.Positions.allCases.map { positions in
                try QuantizedMatrix(dense, coding: coding, group: group, positions: positions)
            }
        }
    }
}

extension PackedMatrix {
    /// The product's input in the form that the matrix asks for; nil if it reads float32.
    func quantized(_ input: UnsafePointer<Float>, tokens: Int, kernels: Kernels) -> QuantizedActivations? {
        guard let form = activationForm else { return nil }
        let quantized = QuantizedActivations(form: form, maximumColumns: columns, maximumTokens: tokens)
        quantized.begin(columns: columns, tokens: tokens)
        for token in 0..<tokens { quantized.quantize(token: token, input + token * columns, kernels: kernels) }
        return quantized
    }

    /// `[tokens, rows]` by the kernels, or by the double-precision reference where there are none. Elements that a
    /// product leaves alone are NaN.
    /// - Parameter byColumns: offer the input by columns, too, so that a bitmap skips its zeros.
    func product(
        of input: [Float], tokens: Int, kernels: Kernels?, rows rowRange: Range<Int>? = nil, byColumns: Bool = false
    ) -> [Float] {
        var output = [Float](repeating: .nan, count: tokens * rows)
        let scratch = AlignedBuffer<UInt8>(uninitializedCount: Kernels.scratchByteCount)
        let activations = input.withUnsafeBufferPointer {
            quantized($0.baseAddress!, tokens: tokens, kernels: kernels ?? .best)
        }
        let transposed = byColumns ? kernels?.transposing(input, tokens: tokens, columns: columns) : nil
        input.withUnsafeBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                let operands = Operands(
                    input: input.baseAddress!, inputStride: columns, output: output.baseAddress!, outputStride: rows,
                    tokens: tokens, scratch: scratch.pointer,
                    quantized: activations?.view,
                    transposed: transposed.map { UnsafePointer($0.pointer) })
                if let kernels {
                    multiply(rows: rowRange ?? 0..<rows, operands, kernels: kernels)
                } else {
                    multiplyReference(operands)
                }
            }
        }
        return withExtendedLifetime((scratch, activations, transposed)) { output }
    }
}

extension Kernels {
    /// `[tokens, columns]` by columns.
    func transposing(_ input: [Float], tokens: Int, columns: Int) -> AlignedBuffer<Float> {
        // NaN shows whatever is read without having been written.
        let output = AlignedBuffer<Float>(
            repeating: .nan, count: transposedCount(tokens: tokens, columns: columns))
        input.withUnsafeBufferPointer { input in
            for block in 0..<(tokens + transposedBlockTokens - 1) / transposedBlockTokens {
                transpose(
                    block: block, of: input.baseAddress!, inputStride: columns, tokens: tokens, columns: columns,
                    into: output.pointer)
            }
        }
        return output
    }
}

/// The largest difference, NaN if any element is NaN.
func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
    var largest: Float = 0
    for (x, y) in zip(a, b) where !(abs(x - y) <= largest) { largest = abs(x - y) }
    return a.count == b.count ? largest : .nan
}

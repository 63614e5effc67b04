import CUDA
public import CUDAKernels
import Sparse
public import Tensors
import TestSupport

/// One product with random operands, and what it should give.
public struct ProductCase: Sendable {
    public var rows: Int
    public var columns: Int
    public var tokens: Int
    public var density = 0.4
    public var valueType = ElementType.f16
    public var outputType = ProductOutput.f32
    /// Over how many blocks it is spread, for each block of tokens; nil: as the product chooses.
    public var blocks: Int?
    /// Into how many slices of columns a block cuts it; nil: as the product chooses.
    public var slices: Int?
    public var seed: UInt64 = 1

    public typealias Weights = DeviceLayout

    public init(
        rows: Int, columns: Int, tokens: Int, density: Double = 0.4, valueType: ElementType = .f16,
        outputType: ProductOutput = .f32, blocks: Int? = nil, slices: Int? = nil, seed: UInt64 = 1
    ) {
        self.rows = rows
        self.columns = columns
        self.tokens = tokens
        self.density = density
        self.valueType = valueType
        self.outputType = outputType
        self.blocks = blocks
        self.slices = slices
        self.seed = seed
    }

    public var elements: Storage<UInt16> {
        var generator = SplitMix64(seed: seed)
        return Storage(
            (0..<rows * columns).map { _ in
                guard Double.random(in: 0..<1, using: &generator) < density else { return 0 }
                return bits(Float.random(in: 0.01...2, using: &generator) * (Bool.random(using: &generator) ? 1 : -1))
            })
    }

    private func bits(_ value: Float) -> UInt16 {
        valueType == .f16 ? Float16(value).bitPattern : UInt16(value.bitPattern >> 16)
    }

    private func value(_ bits: UInt16) -> Double {
        valueType == .f16 ? Double(Float16(bitPattern: bits)) : Double(Float(bitPattern: UInt32(bits) << 16))
    }

    private var inputStride: Int { (columns + 7) / 8 * 8 }

    /// `[tokens, inputStride]`
    private var input: [UInt16] {
        var generator = SplitMix64(seed: seed + 1)
        return (0..<tokens * inputStride).map { index in
            index % inputStride < columns ? bits(Float.random(in: -1...1, using: &generator)) : 0
        }
    }

    /// The weights as the dense layout has them: rows filled up with zeros to a multiple of 8 columns.
    public var paddedElements: [UInt16] {
        let elements = elements
        return (0..<rows * inputStride).map { index in
            let (row, column) = (index / inputStride, index % inputStride)
            return column < columns ? elements[row * columns + column] : 0
        }
    }

    /// What the GPU expands the weights to, rows filled up as those of ``paddedElements``.
    public func expansion(_ weights: Weights, on gpu: TestedGPU) throws -> [UInt16] {
        try gpu.expansion(of: matrix(weights, on: gpu.stream))
    }

    func matrix(_ weights: Weights, on stream: CUDA.Stream) throws -> DeviceMatrix {
        try DeviceMatrix(
            weights, rows: rows, columns: columns, elements: elements, valueType: valueType, on: stream)
    }

    /// What an output that is added to holds before.
    public static func residual(_ token: Int, _ row: Int) -> Float { Float(token) - Float(row) / 8 }

    /// What the GPU gives, `[tokens, rows]`.
    /// - Parameter change: makes another matrix, of any number of rows, out of the one with these weights.
    public func result(
        _ weights: Weights, on gpu: TestedGPU, changing change: (DeviceMatrix) throws -> DeviceMatrix = { $0 }
    ) throws -> [Float] {
        let matrix = try change(matrix(weights, on: gpu.stream))
        return try result(matrix, on: gpu) { matrix, operands in
            try gpu.products.enqueue(
                matrix, operands, workspace: gpu.workspace, spread: ProductSpread(blocks: blocks, slices: slices),
                on: gpu.stream)
        }
    }

    /// The same by another way of multiplying.
    public func result(
        _ weights: Weights, on gpu: TestedGPU, multiply: (DeviceMatrix, ProductOperands) throws -> Void
    ) throws -> [Float] {
        try result(matrix(weights, on: gpu.stream), on: gpu, multiply)
    }

    private func result(
        _ matrix: DeviceMatrix, on gpu: TestedGPU, _ multiply: (DeviceMatrix, ProductOperands) throws -> Void
    ) throws -> [Float] {
        let stream = gpu.stream
        let rows = matrix.rows
        let input = try DeviceBuffer(input, on: stream)
        // Rows of the output lie apart, and nothing may be written between them.
        let stride = rows + 3
        let size = outputType == .sixteenBit ? 2 : 4
        let output = try DeviceBuffer(byteCount: tokens * stride * size, in: stream.context)
        try output.enqueueFill(0xFF, on: stream)
        if outputType == .addF32 {
            let before = (0..<tokens * stride).map { index in
                index % stride < rows ? Self.residual(index / stride, index % stride) : .nan
            }
            try output.write(before, on: stream)
        }
        try multiply(
            matrix,
            ProductOperands(
                input: input.address, inputStride: inputStride, output: output.address, outputStride: stride,
                outputType: outputType, tokens: tokens))
        let words =
            outputType != .sixteenBit
            ? try output.read(Float.self, count: tokens * stride, on: stream)
            : try output.read(UInt16.self, count: tokens * stride, on: stream).map { Float(value($0)) }
        guard words.indices.allSatisfy({ $0 % stride < rows || words[$0].isNaN }) else {
            throw WrittenBehindRow(product: self)
        }
        return (0..<tokens).flatMap { words[$0 * stride..<$0 * stride + rows] }
    }

    /// A kernel has written between the rows of the output.
    public struct WrittenBehindRow: Error, CustomStringConvertible {
        let product: ProductCase
        public var description: String { "written behind a row of the output: \(product)" }
    }

    /// What it should give, in double precision.
    public var expected: Expected {
        let (weights, input) = (elements.map(value), input.map(value))
        let outputError = outputType != .sixteenBit ? 0x1p-24 : valueType == .f16 ? 0x1p-11 : 0x1p-8
        var expected = Expected()
        for token in 0..<tokens {
            for row in 0..<rows {
                var sum = 0.0
                var magnitude = 0.0
                for column in 0..<columns {
                    let product = weights[row * columns + column] * input[token * inputStride + column]
                    sum += product
                    magnitude += abs(product)
                }
                if outputType == .addF32 { sum += Double(Self.residual(token, row)) }
                expected.sums.append(sum)
                expected.allowed.append(magnitude * Double(columns) * 0x1p-24 + abs(sum) * outputError + 1e-7)
            }
        }
        return expected
    }

    /// The right sums `[tokens, rows]`, and how far each result may be off: float32's rounding of every addition, and
    /// the output's own.
    public struct Expected: Sendable {
        public fileprivate(set) var sums: [Double] = []
        public fileprivate(set) var allowed: [Double] = []

        /// The largest error in units of what is allowed.
        public func largestError(_ result: [Float]) -> Double {
            precondition(result.count == sums.count)
            var largest = 0.0
            for index in sums.indices {
                let error = abs(Double(result[index]) - sums[index]) / allowed[index]
                // NaN must not pass for small.
                if !(error <= largest) { largest = error }
            }
            return largest
        }
    }

    public func largestError(_ result: [Float]) -> Double { expected.largestError(result) }
}

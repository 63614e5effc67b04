import CUDAKernels

/// The products that are tested, on the emulator by `swift test` and on GPUs by `gpu-check`.
public enum ProductCases {
    /// Rows and columns around the sides of tiles, panels, strips and vectors.
    public static let shapes: [ProductCase] = [
        (1, 1), (1, 64), (15, 7), (16, 8), (17, 9), (31, 63), (33, 65), (100, 128), (127, 129), (128, 64), (129, 200),
        (257, 72),
    ].enumerated().map { index, shape in
        ProductCase(rows: shape.0, columns: shape.1, tokens: 1 + index % 9, seed: UInt64(index))
    }

    public static let densities: [ProductCase] = [0, 0.003, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1].enumerated().map {
        ProductCase(rows: 40, columns: 600, tokens: 5, density: $1, seed: UInt64($0))
    }

    public static let tokens: [ProductCase] = [
        1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 130,
    ].map { ProductCase(rows: 20, columns: 70, tokens: $0, seed: UInt64($0)) }

    /// Shares of whole row blocks, of parts of one, of parts of several, and of a single step.
    public static let shares: [ProductCase] = [1, 2, 3, 4, 7, 13, 28, 1_000].map {
        ProductCase(rows: 130, columns: 64 * 13 + 5, tokens: 9, blocks: $0, slices: 1, seed: 7)
    }

    /// The same with slices of columns in each block, for every number of tokens that has them: slices of equal lengths
    /// and not, empty ones, and rows that end within a block.
    public static let slices: [ProductCase] = [1, 2, 3, 5, 9, 30].flatMap { blocks in
        [(3, 2), (3, 4), (9, 2), (9, 4), (17, 2)].map { tokens, slices in
            ProductCase(
                rows: 150, columns: 64 * 13 + 5, tokens: tokens, blocks: blocks, slices: slices, seed: UInt64(blocks))
        }
    }

    public static let types: [ProductCase] = [
        ProductCase(rows: 35, columns: 190, tokens: 10, outputType: .f32, blocks: 2),
        ProductCase(rows: 35, columns: 190, tokens: 10, outputType: .sixteenBit, blocks: 2),
        ProductCase(rows: 35, columns: 190, tokens: 10, valueType: .bf16, outputType: .f32, blocks: 2),
        ProductCase(rows: 35, columns: 190, tokens: 10, valueType: .bf16, outputType: .sixteenBit, blocks: 2),
    ]

    public static let all = shapes + densities + tokens + shares + slices + types

    /// For ``LongProducts``: around its least number of tokens, and every kind of output.
    public static let long: [ProductCase] = [
        (LongProducts.leastTokens - 1, ProductOutput.f32), (LongProducts.leastTokens, .f32),
        (LongProducts.leastTokens + 70, .sixteenBit), (LongProducts.leastTokens, .addF32),
    ].map { ProductCase(rows: 40, columns: 90, tokens: $0, outputType: $1) }

    /// Shapes of layers, which fill a GPU and are too much for the emulator.
    public static let large: [ProductCase] = [
        ProductCase(rows: 2048, columns: 2048, tokens: 1, density: 0.2),
        ProductCase(rows: 4096, columns: 1024, tokens: 16, density: 0.5),
        ProductCase(rows: 384, columns: 8192, tokens: 64, density: 0.1),
    ]

    /// One of each path, for tools that make kernels hundreds of times slower.
    public static let small: [ProductCase] = [
        ProductCase(rows: 130, columns: 200, tokens: 9, blocks: 2),
        ProductCase(rows: 33, columns: 264, tokens: 33, density: 0.2, outputType: .sixteenBit),
    ]
}

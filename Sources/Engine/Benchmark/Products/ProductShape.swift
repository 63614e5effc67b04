/// The shape of a weight matrix whose products are measured.
public struct ProductShape: Sendable, Hashable, CustomStringConvertible {
    public let rows: Int
    public let columns: Int

    public init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
    }

    public var description: String { "\(rows)x\(columns)" }

    public var elementCount: Int { rows * columns }

    /// Sides beyond every real model's are refused.
    private static let limit = 1 << 20

    /// The shapes of models, as their products run: query, key and value together, gate and up together.
    public static let sets: [(name: String, shapes: [ProductShape])] = [
        ("smollm2", pairs([(960, 576), (576, 576), (3072, 576), (576, 1536), (49152, 576)])),
        ("llama-1.1b", pairs([(2560, 2048), (2048, 2048), (11264, 2048), (2048, 5632), (32000, 2048)])),
        ("llama-7b", pairs([(12288, 4096), (4096, 4096), (22016, 4096), (4096, 11008), (32000, 4096)])),
        // OPT-30B, 66B and 175B: the shapes of the benchmark that Flash-LLM's authors released.
        (
            "opt",
            pairs([
                (21504, 7168), (7168, 7168), (28672, 7168), (7168, 28672), (27648, 9216), (9216, 9216), (36864, 9216),
                (9216, 36864), (36864, 12288), (12288, 12288), (49152, 12288), (12288, 49152),
            ])
        ),
    ]

    private static func pairs(_ sides: [(Int, Int)]) -> [ProductShape] {
        sides.map { ProductShape(rows: $0.0, columns: $0.1) }
    }

    /// The shapes that a word names: a set, or rows and columns with an x between; nil for any other word.
    public static func named(_ word: String) -> [ProductShape]? {
        if let set = sets.first(where: { $0.name == word }) { return set.shapes }
        let sides = word.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard sides.count == 2, let rows = sides[0], let columns = sides[1], (1...limit).contains(rows),
            (1...limit).contains(columns), rows * columns <= 1 << 32
        else { return nil }
        return [ProductShape(rows: rows, columns: columns)]
    }
}
